"""Recorded requests as inputs of the served model."""

import numpy as np

from unified_ranker.core.arrays import Arrays
from unified_ranker.core.request import History, model_inputs
from unified_ranker.prepare.examples import Examples
from unified_ranker.prepare.prepared import Prepared


def request_arrays(examples: Examples, prepared: Prepared, history_length: int) -> Arrays:
    """Return recorded examples as inputs of the served model, with the history strictly before each."""
    histories = prepared.histories
    # One name more, which index -1 selects.
    items, users = np.append(prepared.item_ids, ""), np.append(prepared.user_ids, "")
    windows = histories.windows(examples.user, examples.history_length, history_length)
    rows = windows.rows
    events = History(
        item_id=items[histories.item[rows]],
        event_type=histories.event_type[rows],
        task=histories.task[rows],
        timestamp=histories.timestamp[rows],
        value=histories.value[rows],
    )
    given = {
        "user_id": users[examples.user],
        "task": examples.task,
        "query": examples.query,
        "source_item_id": items[examples.source_item],
        "query_item_id": items[examples.query_item],
        "country": examples.country,
        "timestamp": examples.timestamp,
    }
    return model_inputs(len(examples), given, windows, events)
