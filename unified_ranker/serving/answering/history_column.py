"""Reader of histories in a column of a table of requests."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unified_ranker.core.errors import UserError, listed
from unified_ranker.core.request import EVENT_FIELDS, NO_HISTORY, TEXT_FIELD, History
from unified_ranker.log.column_types import is_list, to_strengths, to_text
from unified_ranker.log.strict_columns import check_names, converted, refuse, refuse_long_ids, times_of

HISTORY_FIELDS = tuple(EVENT_FIELDS)
HISTORY_TEXT = tuple(name for name, kind in EVENT_FIELDS.items() if kind == TEXT_FIELD)


def histories_of(column: pa.ChunkedArray) -> list[History]:
    """Return the history of each row, oldest event first; an empty one for null.

    Args:
        column: `[rows]`, lists of structs with the fields `item_id`, `timestamp`, and optionally `event_type`, `task`,
            `value`.
    """
    if pa.types.is_null(column.type):
        return [NO_HISTORY] * len(column)
    if not (is_list(column.type) and pa.types.is_struct(column.type.value_type)):
        raise UserError(
            f"`history` holds lists of structs of {listed(HISTORY_FIELDS)}. Received: a column of type {column.type}. "
            "Write such lists to Parquet (CSV has no lists), or leave the column out: the project's log is then used."
        )
    lists = column.cast(pa.large_list(column.type.value_type)).combine_chunks()
    events, row = pc.list_flatten(lists), pc.list_parent_indices(lists).to_numpy()
    names = [field.name for field in events.type]
    check_names(names, HISTORY_FIELDS, ("item_id", "timestamp"), "`history`")
    fields = {name: pa.chunked_array([pc.struct_field(events, name)]) for name in names}
    whole = _history(fields, len(events))
    order = np.lexsort((np.arange(len(row)), whole.timestamp, row))
    whole = whole.take(order)
    bounds = np.searchsorted(row, np.arange(len(column) + 1))
    return [whole.take(slice(start, end)) for start, end in pairwise(bounds)]


def _history(fields: dict[str, pa.ChunkedArray], events: int) -> History:
    """Return all events of all rows as one history, in the order of the table."""
    text = {name: np.full(events, "", object) for name in HISTORY_TEXT}
    for name in HISTORY_TEXT:
        if name in fields:
            text[name] = converted(f"history.{name}", fields[name], to_text).fillna("").to_numpy(object)
    for name in HISTORY_TEXT:
        refuse_long_ids(f"history.{name}", text[name].tolist())
    times = times_of("history.timestamp", fields["timestamp"])
    shown = text["item_id"].tolist()
    refuse(text["item_id"] == "", shown, "`history.item_id` is present", "none", "fill it in, or remove the events")
    refuse(times == 0, shown, "`history.timestamp` is present", "none", "fill it in, or remove the events")
    value = np.zeros(events, np.float32)
    if "value" in fields:
        given = converted("history.value", fields["value"], to_strengths).to_numpy(np.float32)
        absent = pc.is_null(fields["value"]).to_numpy()
        remedy = "write null where there is no number"
        refuse(~absent & ~np.isfinite(given), given.tolist(), "`history.value` is finite or null", "others", remedy)
        value = np.where(absent, np.float32(0), given)
    return History(**text, timestamp=times, value=value)
