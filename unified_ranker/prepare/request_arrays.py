"""Recorded requests as inputs of the served model."""

import numpy as np

from unified_ranker.core.arrays import Arrays
from unified_ranker.core.request import model_inputs
from unified_ranker.prepare.examples import Examples
from unified_ranker.prepare.prepared import Prepared


def request_arrays(examples: Examples, prepared: Prepared, history_length: int) -> Arrays:
    """Return recorded examples as inputs of the served model, with the history strictly before each."""
    histories = prepared.histories
    # One name more, which index -1 selects.
    users = np.append(prepared.user_ids, "")
    windows = histories.windows(examples.user, examples.history_length, history_length)
    events = histories.events(windows.rows, prepared.ids_of)
    given = {
        "user_id": users[examples.user],
        "task": examples.task,
        "query": examples.query,
        "source_item_id": prepared.ids_of(examples.source_item),
        "query_item_id": prepared.ids_of(examples.query_item),
        "country": examples.country,
        "timestamp": examples.timestamp,
    }
    return model_inputs(len(examples), given, windows, events)
