"""Live items: added and removed while serving, embedded by the release's model, found from the next request on."""

import logging
import threading
from collections.abc import Mapping
from typing import Any

import numpy as np

from unified_ranker.config import Config
from unified_ranker.core.errors import UserError, nearest
from unified_ranker.core.signature_names import EMBED_ITEMS, ITEM_VECTOR
from unified_ranker.core.times import seconds
from unified_ranker.events.base import HistoryStore
from unified_ranker.serving.answering.model_outputs import ModelOutputError
from unified_ranker.serving.retrieval.overlay import LiveItem
from unified_ranker.serving.service.ranking_service import RankingService
from unified_ranker.serving.service.served_release import ServedRelease, parts_of
from unified_ranker.towers.served_columns import item_inputs, table_of_items

COMMON = ("title", "created_at", "countries", "available")
"""Fields of every item; the others are the columns that `towers/item.yaml` names."""
_MOST = 50_000
"""Most live changes beside the index."""
_TIMEOUT = 10.0
_BATCH = 256

Fields = Mapping[str, Any]
logger = logging.getLogger(__name__)


class LiveItems:
    """Stores changes to the catalogue, and applies them to every engine.

    Args:
        service: whose engines get the changes.
        store: stores them; None: they are lost when the process ends.
    """

    def __init__(self, service: RankingService, store: HistoryStore | None = None) -> None:
        self._service = service
        self._store = store
        self._fields: dict[str, dict[str, Any] | None] = store.items() if store is not None else {}
        self._lock = threading.Lock()
        for engine in service.engines.values():
            self.install(engine)

    def put(self, item_id: str, fields: Fields) -> None:
        """Add an item, or replace the one with its id.

        Raises:
            UserError: a field is unknown or of the wrong type, or there is no room for more changes.
            ModelBackendError, ModelOutputError: it cannot be embedded.
            StoreError: it cannot be stored.
        """
        with self._lock:
            if item_id not in self._fields and len(self._fields) >= _MOST:
                raise UserError(
                    f"at most {_MOST:,} items may change between releases. Received: one more. Export a new release."
                )
            embedded = {
                label: embed_live_items(engine, {item_id: fields})[item_id]
                for label, engine in self._service.engines.items()
            }
            if self._store is not None:
                self._store.put_item(item_id, fields)
            self._fields[item_id] = dict(fields)
            for label, engine in self._service.engines.items():
                self._change(engine, item_id, embedded[label])

    def remove(self, item_id: str) -> bool:
        """Remove an item; tells whether it existed.

        Raises:
            StoreError: it cannot be stored.
        """
        with self._lock:
            there = any(engine.release.knows(item_id) for engine in self._service.engines.values())
            if there:
                if self._store is not None:
                    self._store.put_item(item_id, None)
                self._fields[item_id] = None
                for engine in self._service.engines.values():
                    self._change(engine, item_id, None)
            return there

    def install(self, engine: ServedRelease) -> None:
        """Apply all changes to a new engine, embedded by its own model.

        Raises:
            ModelBackendError, ModelOutputError: they cannot be embedded.
        """
        if not self._fields:
            return
        present = {item_id: fields for item_id, fields in self._fields.items() if fields is not None}
        usable = {item_id: fields for item_id, fields in present.items() if not _faults(engine.release.config, fields)}
        for item_id in sorted(present.keys() - usable.keys()):
            logger.warning("item `%s` has not the fields of release %d: left out", item_id, engine.release.version)
        changes: dict[str, LiveItem | None] = dict(embed_live_items(engine, usable))
        changes |= dict.fromkeys(item_id for item_id, fields in self._fields.items() if fields is None)
        engine.parts = parts_of(engine.release.with_changes(changes), engine.parts.index)

    @staticmethod
    def _change(engine: ServedRelease, item_id: str, item: LiveItem | None) -> None:
        with engine.changing:
            release = engine.release
            changes = {**(release.live.changes if release.live is not None else {}), item_id: item}
            engine.parts = parts_of(release.with_changes(changes), engine.parts.index)


def embed_live_items(engine: ServedRelease, items: Mapping[str, Fields]) -> dict[str, LiveItem]:
    """Embed items from their fields, by id.

    Raises:
        UserError: a field is unknown or of the wrong type.
        ModelBackendError: the model server failed.
        ModelOutputError: a vector is not finite, or zero.
    """
    config, out, names = engine.release.config, {}, list(items)
    features = config.towers.item.features
    for start in range(0, len(names), _BATCH):
        part = names[start : start + _BATCH]
        for item_id in part:
            if fault := _faults(config, items[item_id]):
                raise UserError(fault)
        table = table_of_items({item_id: items[item_id] for item_id in part}, features)
        vectors = engine.model.predict(EMBED_ITEMS, item_inputs(table, features), timeout=_TIMEOUT)[ITEM_VECTOR]
        if not np.isfinite(vectors).all() or not vectors.any(axis=1).all():
            raise ModelOutputError("the vector of an item must be finite and not zero. Verify the release.")
        for item_id, vector, created in zip(part, vectors, seconds(table["created_at"]).tolist(), strict=True):
            fields = items[item_id]
            out[item_id] = LiveItem(
                item_id=item_id,
                vector=vector,
                title=fields.get("title") or "",
                created_at=created,
                countries=tuple(fields.get("countries") or ()),
                available=fields.get("available") is not False,
            )
    return out


def _faults(config: Config, fields: Fields) -> str:
    """Return the error in an item's fields; "" for none."""
    features = {feature.column: feature for feature in config.towers.item.features}
    for name, value in fields.items():
        if name in COMMON or value is None:
            continue
        if name not in features:
            known = sorted({*features, *COMMON})
            return (
                f"`{name}` is no field of an item. Known: {', '.join(f'`{k}`' for k in known)}.{nearest(name, known)}"
            )
        feature = features[name]
        if not feature.accepts(value):
            return f"`{name}` must be {feature.holds}. Received: {str(value)[:80]!r}. Correct it, or leave it out."
    return ""
