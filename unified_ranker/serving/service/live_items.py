"""Live items: changed while serving, in the order of the store, and found from the next request on by every release."""

import contextlib
import logging
import threading
from collections.abc import Iterator, Mapping

from unified_ranker.core.errors import UserError
from unified_ranker.events.base import CatalogueChanges, StoreError
from unified_ranker.events.item_change import Fields, ItemChange, composed, with_patch
from unified_ranker.events.memory_changes import MemoryChanges
from unified_ranker.serving.backends.base import ModelBackendError
from unified_ranker.serving.retrieval.overlay import LiveItem
from unified_ranker.serving.service.item_embedding import embed_change, embed_changes, require_known, require_whole
from unified_ranker.serving.service.ranking_service import RankingService
from unified_ranker.serving.service.served_release import ServedRelease, parts_of

_MOST = 50_000
"""Most live changes beside the index."""
_FEW = 16
"""Changes that a new engine may still lack when it joins those that follow; they are embedded while others wait."""
_TRIES = 8
"""Attempts to patch an item that others change at the same time."""

EmbeddedByEngine = Mapping[ServedRelease, LiveItem | None]
"""What engines serve of a changed item, embedded before the change was stored."""

logger = logging.getLogger(__name__)


class LiveItems:
    """Stores changes to the catalogue, and applies those of the store to every engine, in their order.

    A change is stored first and applied from the store, like the changes of other replicas. So all replicas have the
    same items, and an engine that is being loaded misses none: it follows from its installation on, also before it is
    in service.

    Args:
        service: whose engines get the changes.
        store: stores them; None: they are lost when the process ends.
    """

    def __init__(self, service: RankingService, store: CatalogueChanges | None = None) -> None:
        self._store = store if store is not None else MemoryChanges()
        self._changes: dict[str, ItemChange] = {}
        """In the order of their positions."""
        self._read_to = -1
        self._applied: dict[ServedRelease, int] = {}
        """Position of the last applied change of each engine that follows."""
        self._lock = threading.Lock()
        with self._lock:
            self._read()
        for engine in service.engines.values():
            self.install(engine)

    def put(self, item_id: str, fields: Fields) -> None:
        """Add an item, or replace the one with its id.

        Args:
            item_id: its id.
            fields: its title, every column that `towers/item.yaml` names, and optionally `created_at`, `countries` and
                `available`; None where it has none.

        Raises:
            UserError: a field is missing, unknown or of the wrong type, or there is no room for more changes.
            ModelBackendError, ModelOutputError: it cannot be embedded.
            StoreError: it cannot be stored.
        """
        require_whole(self._engines(), fields)
        given = {name: value for name, value in fields.items() if value is not None}
        require_known(self._engines(), given)
        self._require_room(item_id)
        change = ItemChange(item_id, 0, given)
        with self._in_use() as engines:
            embedded = {engine: embed_change(engine, change) for engine in engines}
        self._bring_about(item_id, self._store.put_item(item_id, given), embedded)

    def patch(self, item_id: str, patch: Fields) -> bool:
        """Change some fields of an item by a merge patch (RFC 7396): None removes a field; tells whether it existed.

        Raises:
            UserError: a field is unknown or of the wrong type, there is no room for more changes, or the fields that
                the model embeds are not kept by the release.
            ModelBackendError, ModelOutputError: it cannot be embedded.
            StoreError: it cannot be stored.
        """
        require_known(self._engines(), {name: value for name, value in patch.items() if value is not None})
        for _ in range(_TRIES):
            with self._lock:
                self._read()
                old = self._changes.get(item_id)
            if not self._has(item_id, old):
                return False
            self._require_room(item_id)
            if old is None or old.partial:
                earlier = old.fields if old is not None and old.fields is not None else {}
                change = ItemChange(item_id, 0, composed(earlier, patch), partial=True)
            else:
                change = ItemChange(item_id, 0, with_patch(old.fields or {}, patch))
            with self._in_use() as engines:
                embedded = {engine: embed_change(engine, change, strict=True) for engine in engines}
            seen = 0 if old is None else old.position
            if position := self._store.put_item(item_id, change.fields, change.partial, seen):
                self._bring_about(item_id, position, embedded)
                return True
        raise StoreError(f"item `{item_id}` is being changed by others; try again")

    def remove(self, item_id: str) -> bool:
        """Remove an item; tells whether it existed.

        Raises:
            StoreError: it cannot be stored.
        """
        with self._lock:
            self._read()
            there = self._has(item_id, self._changes.get(item_id))
        if there:
            self._bring_about(item_id, self._store.put_item(item_id, None), dict.fromkeys(self._engines()))
        return there

    def follow(self) -> None:
        """Apply the changes that have come to the store, from whichever replica.

        Raises:
            ModelBackendError: some cannot be embedded yet; the next call tries again.
            StoreError: the store cannot be reached.
        """
        with self._lock:
            self._read()
            faults = self._catch_up(0, {})
        for fault in faults.values():
            raise fault

    def install(self, engine: ServedRelease) -> None:
        """Apply all changes to a new engine, embedded by its own model, and let it follow those that come.

        Raises:
            ModelBackendError: they cannot be embedded.
        """
        applied = -1
        while True:
            with self._lock:
                pending = self._after(applied)
                if len(pending) <= _FEW:
                    _apply(engine, embed_changes(engine, pending))
                    self._applied[engine] = pending[-1].position if pending else applied
                    return
            # Without the lock, because embedding many items takes seconds, in which others come.
            _apply(engine, embed_changes(engine, pending))
            applied = pending[-1].position

    def forget(self, engine: ServedRelease) -> None:
        """Let an engine follow no longer, before its model is closed."""
        with self._lock:
            self._applied.pop(engine, None)

    @contextlib.contextmanager
    def _in_use(self) -> Iterator[list[ServedRelease]]:
        """Keep the engines that follow open: a model is closed when its engine is forgotten and no longer in use."""
        with contextlib.ExitStack() as stack:
            with self._lock:
                engines = [stack.enter_context(engine.in_use()) for engine in self._applied]
            yield engines

    def _engines(self) -> list[ServedRelease]:
        return list(self._applied)

    def _has(self, item_id: str, change: ItemChange | None) -> bool:
        """Tell whether the catalogue has an item with a change."""
        if change is not None and not change.partial:
            return change.fields is not None
        return any(item_id in engine.release.row_of for engine in self._engines())

    def _require_room(self, item_id: str) -> None:
        if item_id not in self._changes and len(self._changes) >= _MOST:
            raise UserError(
                f"at most {_MOST:,} items may change between releases. Received: one more. Export a new release."
            )

    def _read(self) -> None:
        """Take the changes that have come to the store."""
        for change in self._store.item_changes(self._read_to):
            # Behind all others, so that the order of the items is that of their changes.
            self._changes.pop(change.item_id, None)
            self._changes[change.item_id] = change
            self._read_to = max(self._read_to, change.position, 0)

    def _after(self, position: int) -> list[ItemChange]:
        found = []
        for change in reversed(self._changes.values()):
            if change.position <= position:
                break
            found.append(change)
        return found[::-1]

    def _bring_about(self, item_id: str, position: int, embedded: EmbeddedByEngine) -> None:
        """Apply a stored change to all engines, after those that came before it.

        Raises:
            ModelBackendError: an engine that came meanwhile cannot embed it yet.
        """
        with self._lock:
            self._read()
            faults = self._catch_up(position, embedded)
        for engine, fault in faults.items():
            if engine not in embedded:
                raise fault
            logger.warning("release %d: others' changes of items wait: %s", engine.release.version, fault)

    def _catch_up(self, position: int, embedded: EmbeddedByEngine) -> dict[ServedRelease, ModelBackendError]:
        """Apply what engines have not applied; `embedded` is of the change at `position`; returns their faults.

        Items are independent of each other, so those that need no embedding do not wait for the model.
        """
        faults = {}
        for engine, applied in list(self._applied.items()):
            pending = self._after(applied)
            if not pending:
                continue
            own = {c.item_id: embedded[engine] for c in pending if c.position == position and engine in embedded}
            _apply(engine, own)
            try:
                _apply(engine, embed_changes(engine, [c for c in pending if c.item_id not in own]))
            except ModelBackendError as error:
                faults[engine] = error
            else:
                self._applied[engine] = pending[-1].position
        return faults


def _apply(engine: ServedRelease, items: Mapping[str, LiveItem | None]) -> None:
    if not items:
        return
    for item_id, item in items.items():
        engine.live_titles.put(item_id, item.title if item is not None else "")
    with engine.changing:
        release = engine.release
        changes = {**(release.live.changes if release.live is not None else {}), **items}
        engine.parts = parts_of(release.with_changes(changes), engine.parts.index)
