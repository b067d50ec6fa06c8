"""Changed items as an engine serves them: its release's fields with the change over them, embedded by its model."""

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from unified_ranker.config import Config
from unified_ranker.core.errors import UserError, nearest
from unified_ranker.core.signature_names import EMBED_ITEMS, ITEM_VECTOR
from unified_ranker.core.times import NEVER
from unified_ranker.events.item_change import Fields, ItemChange
from unified_ranker.serving.answering.model_outputs import ModelOutputError
from unified_ranker.serving.retrieval.overlay import LiveItem
from unified_ranker.serving.service.served_release import ServedRelease
from unified_ranker.towers.served_columns import item_inputs, table_of_items

COMMON = ("title", "created_at", "countries", "available")
"""Fields of every item; the others are the columns that `towers/item.yaml` names."""
_TIMEOUT = 10.0
_BATCH = 256

logger = logging.getLogger(__name__)


def require_whole(engines: Iterable[ServedRelease], fields: Mapping[str, Any]) -> None:
    """Check that the fields are those of a whole item, so that replacing one erases nothing in silence.

    Raises:
        UserError: the title is missing, or a column that the models of all engines read.
    """
    read = [{feature.column for feature in config.towers.item.features} for config in _configs(engines)]
    missing = sorted({"title", *set.intersection(*read)} - fields.keys())
    if missing:
        raise UserError(
            f"{_names(missing)} must be given, because PUT replaces the whole item. Received: {_names(fields)}. Give "
            "null for what the item does not have, or change single fields by PATCH."
        )


def require_known(engines: Iterable[ServedRelease], fields: Fields) -> None:
    """Check fields against the declarations of the engines, of which each takes those that it knows.

    Raises:
        UserError: a field is unknown to all of them, or of the wrong type for one that knows it.
    """
    configs = _configs(engines)
    for name, value in fields.items():
        if name in COMMON:
            continue
        known = [feature for config in configs for feature in config.towers.item.features if feature.column == name]
        if not known:
            names = sorted({*COMMON, *(f.column for config in configs for f in config.towers.item.features)})
            raise UserError(
                f"`{name}` is no field of an item. Known: {', '.join(f'`{k}`' for k in names)}.{nearest(name, names)}"
            )
        for feature in known:
            if not feature.accepts(value):
                raise UserError(
                    f"`{name}` must be {feature.holds}. Received: {str(value)[:80]!r}. Correct it, or leave it out."
                )


def embed_change(engine: ServedRelease, change: ItemChange, strict: bool = False) -> LiveItem | None:
    """Return a changed item as an engine serves it; None: it has no such item.

    Args:
        engine: whose release it is changed over.
        change: of the item.
        strict: whether a patch of fields that are embedded is refused where the release does not keep the others.

    Raises:
        UserError: it is refused.
        ModelBackendError: the model server failed.
        ModelOutputError: the vector is not finite, or zero.
    """
    as_released, whole = _resolved(engine, [change], strict)
    return {**as_released, **_embedded(engine, whole)}[change.item_id]


def embed_changes(engine: ServedRelease, changes: Sequence[ItemChange]) -> dict[str, LiveItem | None]:
    """Return changed items as an engine serves them, by id; None: it has no such item.

    An item whose vector is invalid is left out and logged, so that the others do not wait for it.

    Raises:
        ModelBackendError: the model server failed.
    """
    found, whole = _resolved(engine, changes, strict=False)
    names = list(whole)
    for start in range(0, len(names), _BATCH):
        part = {name: whole[name] for name in names[start : start + _BATCH]}
        try:
            found |= _embedded(engine, part)
        except ModelOutputError:
            for name, fields in part.items():
                try:
                    found |= _embedded(engine, {name: fields})
                except ModelOutputError as error:
                    logger.error("item `%s` is left out of release %d: %s", name, engine.release.version, error)
                    found[name] = None
    return found


def _resolved(
    engine: ServedRelease, changes: Sequence[ItemChange], strict: bool
) -> tuple[dict[str, LiveItem | None], dict[str, Fields]]:
    """Return those changed items that need no embedding, and the fields of the others."""
    release, found, whole = engine.release, dict[str, LiveItem | None](), dict[str, Fields]()
    embedded = {"created_at", *(feature.column for feature in release.config.towers.item.features)}
    released = release.released_fields([change.item_id for change in changes if change.partial])
    for change in changes:
        fields = change.over(released.by_item.get(change.item_id))
        touched = embedded.intersection(change.fields or ())
        if fields is None:
            found[change.item_id] = None
        elif not change.partial or (touched and released.keep(embedded)):
            whole[change.item_id] = fields
        elif touched and strict:
            raise UserError(
                f"release {release.version} does not keep {_names(embedded)} of its items, from which their vectors "
                f"are made. Received: a patch of {_names(touched)}. PUT the whole item, or export a new release."
            )
        else:
            row = release.row_of.get(change.item_id)
            found[change.item_id] = None if row is None else _live(change.item_id, fields, release.vectors[row])
    return found, whole


def _embedded(engine: ServedRelease, items: Mapping[str, Fields]) -> dict[str, LiveItem]:
    """Embed items from their fields, of which the release's model takes those that it knows."""
    if not items:
        return {}
    features = engine.release.config.towers.item.features
    accepted = {feature.column: feature for feature in features}
    known = {
        item_id: {n: v for n, v in fields.items() if n in COMMON or (n in accepted and accepted[n].accepts(v))}
        for item_id, fields in items.items()
    }
    inputs = item_inputs(table_of_items(known, features), features)
    vectors = engine.model.predict(EMBED_ITEMS, inputs, timeout=_TIMEOUT)[ITEM_VECTOR]
    if not np.isfinite(vectors).all() or not vectors.any(axis=1).all():
        raise ModelOutputError("the vector of an item must be finite and not zero. Verify the release.")
    return {item_id: _live(item_id, items[item_id], vector) for item_id, vector in zip(items, vectors, strict=True)}


def _live(item_id: str, fields: Fields, vector: npt.NDArray[np.float32]) -> LiveItem:
    return LiveItem(
        item_id=item_id,
        vector=vector,
        title=fields.get("title") or "",
        created_at=fields.get("created_at") or NEVER,
        countries=tuple(fields.get("countries") or ()),
        available=fields.get("available") is not False,
    )


def _configs(engines: Iterable[ServedRelease]) -> list[Config]:
    return [engine.release.config for engine in engines]


def _names(names: Collection[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names)) or "nothing"
