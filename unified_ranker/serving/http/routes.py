"""Operations of the HTTP API on events, items and releases."""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any, TypeVar

from fastapi import FastAPI, Path, Query, Request, Response
from starlette.convertors import StringConvertor, register_url_convertor

from unified_ranker.core.arrays import MISSING
from unified_ranker.core.ids import MOST_ID_BYTES
from unified_ranker.core.times import MICROSECONDS
from unified_ranker.events.base import HistoryStore, StoreError
from unified_ranker.serving.answering.model_outputs import ModelOutputError
from unified_ranker.serving.backends.base import ModelBackendError
from unified_ranker.serving.http.admission import Admission
from unified_ranker.serving.http.bodies import (
    EngagementEvent,
    EventsRequest,
    EventsResponse,
    EventWarning,
    FieldError,
    ItemChanged,
    ItemRequest,
    ItemResponse,
    ReleaseResponse,
    ReloadRequest,
    RollbackRequest,
    SwapResponse,
    UsersResponse,
)
from unified_ranker.serving.http.body_fields import ItemId
from unified_ranker.serving.http.error_bodies import described, respond_with_error
from unified_ranker.serving.service.event_check import EventFault, event_faults, refused_events
from unified_ranker.serving.service.live_items import LiveItems
from unified_ranker.serving.service.ranking_service import RankingService
from unified_ranker.serving.service.releases import Releases, Swap

_EVENT_SLOTS, _EVENT_QUEUE, _PATIENCE = 64, 256, 1.0
_MOST_SHOWN = 10
"""Most faults of events that an answer lists."""
_ERRORS = (401, 403, 422, 503)
_COMMON_COUNTRIES = ("US", "GB", "DE", "FR", "ES", "IT", "NL", "PL", "BR", "IN", "JP", "CA", "AU", "MX")
"""Countries that the page offers where no item names any, because the model reads the country of a request."""


class _AnyText(StringConvertor):
    """Convertor of a part of a path that may hold slashes and line breaks: servers decode it before a route is chosen.

    Starlette's own `path` loses a line break at the end, so that two ids would be one item.
    """

    regex = "(?s:.*)"


register_url_convertor("any", _AnyText())
_ITEM = "/v1/items/{item_id:any}"
ItemPath = Annotated[ItemId, Path(description="The item's id, percent-encoded; it may have slashes.")]
OperationResult = TypeVar("OperationResult")


class _OwnThreads:
    """Runs work in threads of its own."""

    def __init__(self, threads: int, name: str) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)

    async def __call__(self, work: Callable[..., OperationResult], *arguments: Any) -> OperationResult:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)


def add_events(app: FastAPI, service: RankingService, store: HistoryStore, strict: bool = False) -> None:
    """Add the operations on events and users; `strict` refuses events that the release does not know."""
    in_own_thread, metrics = _OwnThreads(_EVENT_SLOTS, "events"), service.metrics
    admission = Admission(_EVENT_SLOTS, _EVENT_QUEUE, _PATIENCE, metrics)

    @app.post("/v1/events", responses=described(400, 413, *_ERRORS), response_model=EventsResponse)
    async def events(body: EventsRequest, request: Request) -> EventsResponse | Response:
        """Store events of users durably. They count from the next request on.

        An event whose time lies more than a day in the future is refused, with all events of its request.
        Events whose task, type or item the release does not know are stored, and `warnings` says so; a service that
        was started with `--strict-events` refuses all events of such a request.
        """
        microseconds = time.time_ns() // 1000
        reported = [event.to_event(microseconds) for event in body.events]
        refused = refused_events(reported, microseconds // MICROSECONDS)
        faults = event_faults(service.release, reported)
        for fault in faults:
            metrics.unknown_events.labels(fault.field).inc()
        if refused or (faults and strict):
            metrics.events.labels("refused").inc(len(reported))
            shown = (refused or faults)[:_MOST_SHOWN]
            details = [FieldError(field=_field_of(fault), message=fault.message) for fault in shown]
            return respond_with_error(request, 422, f"`{details[0].field}`: {details[0].message}", details)
        async with admission.slot():
            try:
                new = await in_own_thread(store.append, reported)
            except StoreError:
                metrics.events.labels("refused").inc(len(reported))
                raise
        metrics.events.labels("new").inc(new)
        metrics.events.labels("known").inc(len(reported) - new)
        return EventsResponse(accepted=len(reported), new=new, warnings=_warnings(faults))

    @app.get("/v1/users", responses=described(*_ERRORS))
    async def users(
        prefix: Annotated[str, Query(max_length=MOST_ID_BYTES)] = "", limit: Annotated[int, Query(ge=1, le=100)] = 20
    ) -> UsersResponse:
        """Return users that have a history."""
        return UsersResponse(users=await in_own_thread(store.users, prefix.encode("utf-8", "replace").decode(), limit))


def _field_of(fault: EventFault) -> str:
    return f"events.{fault.number}.{fault.field}"


def _warnings(faults: Sequence[EventFault]) -> list[EventWarning]:
    """Return one warning for all faults of a field with the same message."""
    kinds: dict[tuple[str, str], list[EventFault]] = {}
    for fault in faults:
        kinds.setdefault((fault.field, fault.message), []).append(fault)
    return [
        EventWarning(field=_field_of(of[0]), message=of[0].message, events=len(of))
        for of in list(kinds.values())[:_MOST_SHOWN]
    ]


def add_items(app: FastAPI, service: RankingService, live: LiveItems) -> None:
    """Add the operations on the catalogue."""
    in_own_thread, metrics = _OwnThreads(2, "items"), service.metrics

    async def changed(change: str, make: Callable[..., bool | None], *arguments: Any) -> bool:
        """Change an item, and count it; tells whether there was one to change."""
        try:
            there = await in_own_thread(make, *arguments) is not False
        except (ModelBackendError, ModelOutputError, StoreError):
            metrics.item_changes.labels(change, "failed").inc()
            raise
        if there:
            metrics.item_changes.labels(change, "done").inc()
        return there

    @app.get(_ITEM, responses=described(404, *_ERRORS), response_model=ItemResponse)
    async def item(item_id: ItemPath, request: Request) -> ItemResponse | Response:
        """Return an item."""
        release = service.release
        at = release.positions([item_id])
        if at[0] == MISSING:
            return respond_with_error(request, 404, "the catalogue has no such item")
        title, live = str(release.titles_at(at)[0]), bool(release.foreign_at(at)[0])
        return ItemResponse(item_id=item_id, title=title, release=release.version, live=live)

    @app.put(_ITEM, responses=described(400, 413, *_ERRORS))
    async def put(item_id: ItemPath, body: ItemRequest) -> ItemChanged:
        """Add or replace an item; the release's model embeds it.

        What the item had before is gone, so its title and the columns that the model reads must all be given.
        """
        await changed("put", live.put, item_id, body.fields())
        return ItemChanged(item_id=item_id, change="put")

    @app.patch(_ITEM, responses=described(400, 404, 413, *_ERRORS), response_model=ItemChanged)
    async def patch(item_id: ItemPath, body: ItemRequest, request: Request) -> ItemChanged | Response:
        """Change the given fields of an item, and leave the others (JSON merge patch, RFC 7396); null removes one."""
        if not await changed("patch", live.patch, item_id, body.fields()):
            return respond_with_error(request, 404, "the catalogue has no such item")
        return ItemChanged(item_id=item_id, change="patched")

    @app.delete(_ITEM, responses=described(404, *_ERRORS), response_model=ItemChanged)
    async def delete(item_id: ItemPath, request: Request) -> ItemChanged | Response:
        """Remove an item."""
        if not await changed("delete", live.remove, item_id):
            return respond_with_error(request, 404, "the catalogue has no such item")
        return ItemChanged(item_id=item_id, change="deleted")


def add_admin(app: FastAPI, service: RankingService, releases: Releases) -> None:
    """Add the operations on releases."""
    in_own_thread = _OwnThreads(2, "releases")

    @app.get("/v1/release", responses=described(401, 403))
    async def release() -> ReleaseResponse:
        """Return the releases in service."""
        opened = service.release
        return ReleaseResponse(
            release=opened.version,
            items=opened.count,
            tasks={name: task.description for name, task in opened.config.tasks.items()},
            heads=list(opened.config.heads),
            quality=list(opened.config.towers.item.quality),
            likes={
                name: EngagementEvent(
                    event_type=task.positives[0].event_type, min_value=task.positives[0].sufficient_value
                )
                for name, task in opened.config.tasks.items()
            },
            countries=list(opened.offers.countries or _COMMON_COUNTRIES),
            labels={label: engine.release.version for label, engine in service.engines.items()},
            releases=await in_own_thread(releases.listed),
        )

    @app.post("/v1/admin/reload", responses=described(400, 409, *_ERRORS))
    async def reload(body: ReloadRequest) -> SwapResponse:
        """Change to another release: it is loaded, verified and warmed up beside the one in service, then swapped."""
        return _response(await in_own_thread(releases.load, body.release, body.label, body.share))

    @app.post("/v1/admin/rollback", responses=described(400, 409, *_ERRORS))
    async def rollback(body: RollbackRequest) -> SwapResponse:
        """Return to the previous release, or end a canary."""
        return _response(await in_own_thread(releases.roll_back, body.label))


def _response(swap: Swap) -> SwapResponse:
    return SwapResponse(label=swap.label, release=swap.release, previous=swap.previous, seconds=round(swap.seconds, 3))
