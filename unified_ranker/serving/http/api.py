"""The HTTP API of the ranking service."""

import asyncio
import logging
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse

from unified_ranker.core.version import __version__
from unified_ranker.events.base import HistoryStore
from unified_ranker.serving.backends.base import STATE_AVAILABLE
from unified_ranker.serving.http.admission import Admission
from unified_ranker.serving.http.bodies import HealthResponse, Readiness, RecommendRequest, RecommendResponse
from unified_ranker.serving.http.bounded_json import BoundedRoute
from unified_ranker.serving.http.docs import docs_page
from unified_ranker.serving.http.error_bodies import add_error_handlers, described, unavailable
from unified_ranker.serving.http.request_context import RequestContext, request_id_of
from unified_ranker.serving.http.routes import add_admin, add_events, add_items
from unified_ranker.serving.http.security import AccessTokens
from unified_ranker.serving.page.demo_page import add_page
from unified_ranker.serving.service.live_items import LiveItems
from unified_ranker.serving.service.ranking_service import RankingService
from unified_ranker.serving.service.releases import Releases
from unified_ranker.serving.service.served_release import STABLE
from unified_ranker.serving.service.service_metrics import CONTENT_TYPE

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Capacity:
    """Capacity: requests in work, and requests in the queue.

    Attributes:
        concurrency: requests that are answered at once. One for each core where the model server shares the machine,
            because more only take turns (p99 at 40 requests/s: 36 ms with 2 at once, 64 ms with 4); four for each core
            with a model server on another machine.
        queue: requests that may wait for a slot.
        patience: seconds that a request may wait.
    """

    concurrency: int = os.cpu_count() or 2
    queue: int = 32
    patience: float = 0.25


@dataclass(frozen=True)
class RankingBackend:
    """Parts that an application is built over; only the service is required.

    Attributes:
        service: answers requests.
        store: stores events.
        live: changes the catalogue.
        releases: changes the release.
        tokens: that clients must send; None: anyone may call.
        hosts: names under which the service may be called; none: any.
        capacity: limits of running and waiting requests.
        strict_events: whether events that the release does not know are refused.
    """

    service: RankingService
    store: HistoryStore | None = None
    live: LiveItems | None = None
    releases: Releases | None = None
    tokens: AccessTokens | None = None
    hosts: Sequence[str] = ()
    capacity: Capacity = field(default_factory=Capacity)
    strict_events: bool = False


def create_app(given: RankingBackend | RankingService) -> FastAPI:
    """Build the HTTP application over a service."""
    backend = given if isinstance(given, RankingBackend) else RankingBackend(given)
    app = FastAPI(
        title="unified_ranker",
        version=__version__,
        description="Ranked items for every surface: search, more-like-this, home feed.",
        # Not FastAPI's own pages, which load scripts from other hosts.
        docs_url=None,
        redoc_url=None,
    )
    app.router.route_class = BoundedRoute
    app.add_middleware(RequestContext, metrics=backend.service.metrics, tokens=backend.tokens, hosts=backend.hosts)
    add_error_handlers(app)
    _add_recommend(app, backend)
    if backend.store is not None:
        add_events(app, backend.service, backend.store, backend.strict_events)
    if backend.live is not None:
        add_items(app, backend.service, backend.live)
    if backend.releases is not None:
        add_admin(app, backend.service, backend.releases)
    _add_probes(app, backend.service)
    add_page(app)

    @app.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> HTMLResponse:
        policy = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
        return HTMLResponse(docs_page(app.openapi(), str(request.base_url)), headers=policy)

    return app


def _add_recommend(app: FastAPI, backend: RankingBackend) -> None:
    service, capacity = backend.service, backend.capacity
    admission = Admission(capacity.concurrency, capacity.queue, capacity.patience, service.metrics)
    threads = ThreadPoolExecutor(capacity.concurrency, thread_name_prefix="recommend")

    def answer(body: RecommendRequest, request_id: str, arrived: float) -> bytes:
        made = service.recommend(body.to_request(), body.history is None, arrived, request_id)
        logger.info(
            "answered",
            extra={
                "request_id": request_id,
                "task": body.task,
                "items": len(made.answer.items),
                "release": made.release,
                "label": made.label,
                "degraded": made.degraded,
                "timings_ms": made.timings_ms,
            },
        )
        return RecommendResponse.of(request_id, body.task, made).model_dump_json().encode()

    @app.post("/v1/recommend", responses=described(400, 401, 403, 413, 422, 503), response_model=RecommendResponse)
    async def recommend(body: RecommendRequest, request: Request) -> Response:
        """Return the best items for a user on a surface."""
        service.release.require_task(body.task)
        arrived: float = request.state.arrived
        async with admission.slot():
            loop = asyncio.get_running_loop()
            made = await loop.run_in_executor(threads, answer, body, request_id_of(request), arrived)
        # Not serialised by FastAPI, which would validate the answer again.
        return Response(made, media_type="application/json")


def _add_probes(app: FastAPI, service: RankingService) -> None:
    # Threads for probes alone, which must not queue behind requests that wait for the model server.
    threads = ThreadPoolExecutor(2, thread_name_prefix="probe")

    async def in_probe_thread(work: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(threads, work, *arguments)

    @app.get("/healthz")
    async def healthz() -> HealthResponse:
        """Tell that the process is alive, and what state its model was in a second ago."""
        state = service.engines[STABLE].model_state
        return HealthResponse(status="ok" if state == STATE_AVAILABLE else "degraded", model=state)

    @app.get("/readyz", responses=described(503), response_model=Readiness)
    async def readyz(request: Request) -> Readiness | Response:
        """Tell whether the model server has the release's version AVAILABLE."""
        state = await in_probe_thread(service.state_of, service.engines[STABLE])
        if state != STATE_AVAILABLE:
            return unavailable(request, f"the model server has version {service.release.version} in state {state}")
        return Readiness(release=service.release.version)

    @app.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def metrics() -> Response:
        """Return the metrics in Prometheus' format."""
        return Response(await in_probe_thread(service.metrics.text), media_type=CONTENT_TYPE)
