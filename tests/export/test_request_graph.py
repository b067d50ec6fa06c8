"""History cut of the served graph against plain Python, event by event."""

import numpy as np
import pytest
import tiny_world
from hypothesis import given, settings
from hypothesis import strategies as st

from unified_ranker.core.arrays import MISSING
from unified_ranker.core.request import REQUEST_FIELDS, blank
from unified_ranker.export.request_graph import RequestGraph
from unified_ranker.towers.tensorflow import tf
from unified_ranker.training.training_job import build_model

pytestmark = pytest.mark.xdist_group("tiny_model")
EVENTS = st.lists(st.tuples(st.integers(1, 40), st.sampled_from(["i00", "i07", "nothing", ""])), max_size=30)
"""Times and items; "" is a blank place, "nothing" an item that the catalogue lacks."""
IMPUTED = "more_like_this"
"""Task whose missing source item is the last item of the history."""


@pytest.fixture(scope="module")
def graph():
    return RequestGraph(tiny_world.trained().model)


def fields(rows, moments):
    """Inputs of requests with these events, padded behind by blanks of any time."""
    out = {name: tf.constant(np.full(len(rows), blank(kind), kind)) for name, kind in REQUEST_FIELDS.items()}
    width = max(map(len, rows), default=0)
    padded = [row + [(50, "")] * (width - len(row)) for row in rows]
    times = np.array([[time for time, _ in row] for row in padded], np.int64).reshape(len(rows), width)
    items = np.array([[item for _, item in row] for row in padded], object).reshape(len(rows), width)
    out |= {f"history_{name}": tf.constant(np.full(times.shape, "click", object)) for name in ("event_type", "task")}
    return out | {
        "timestamp": tf.constant(moments, tf.int64),
        "history_item_id": tf.constant(items, tf.string),
        "history_timestamp": tf.constant(times),
        "history_value": tf.constant(times.astype(np.float32)),
    }


def whole(before, most):
    """Those of the last `most` whose second is whole, or too large to be whole in any window."""
    moments = [time for time, _ in before]
    return [
        (time, item)
        for time, item in before[-most:]
        if sum(other >= time for other in moments) <= most or moments.count(time) > most
    ]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(EVENTS.map(sorted), st.integers(1, 45)), min_size=1, max_size=3))
def test_windows_hold_the_last_events_strictly_before_each_request(graph, asked):
    rows, moments = zip(*asked, strict=True)
    found = graph(fields(rows, moments) | {"task": tf.fill([len(rows)], IMPUTED)})
    length, numbers = graph.length, {name: n for n, name in enumerate(tiny_world.prepared().item_ids)}
    for row, (events, moment) in enumerate(asked):
        # In the order of the catalogue within a second.
        before = sorted((time, numbers.get(item, MISSING)) for time, item in events if item and time < moment)
        kept = whole(before, length)
        assert found.request.position[row] == len(kept)
        inside = slice(0, len(kept))
        columns = found.windows.events.take(row)
        assert columns.item[inside].numpy().tolist() == [item for _, item in kept]
        assert columns.value[inside].numpy().tolist() == [time for time, _ in kept]
        times = [time for time, _ in kept]
        assert columns.gap[inside].numpy().tolist() == [b - a for a, b in zip(times[:1] + times, times, strict=False)]
        assert (columns.item[len(kept) :] == MISSING).numpy().all()
        assert found.request.gap[row] == (moment - times[-1] if times else -1)
        newest = {item for time, item in kept if time == kept[-1][0]}
        assert found.request.source[row] == (newest.pop() if len(newest) == 1 else MISSING), (
            "none of several is the last"
        )
        past = whole(before, graph.read)[::-1]
        recent = [item for _, item in past]
        # No wider than the longest history of the batch.
        blank = found.signals.recent.shape[1] - len(recent)
        assert found.signals.recent.shape[1] <= graph.read
        assert found.signals.recent[row].numpy().tolist() == recent + [MISSING] * blank
        when = [time for time, _ in past]
        assert found.signals.recent_time[row].numpy().tolist() == when + [0] * blank


def test_events_that_histories_leave_out_are_read_neither_by_the_towers_nor_by_the_signals():
    """A caller may send impressions; the prepared histories of `history_events: [click]` have none."""
    world, config = tiny_world.prepared(), tiny_world.config(user={"history_events": ["click"]})
    model, _, _ = build_model(world, config, world.split.train_end)
    asked = fields([[(1, "i00"), (2, "i07"), (3, "i01"), (4, "i02")]], [9])
    asked["history_event_type"] = tf.constant([["click", "impression", "", "impression"]])
    found = RequestGraph(model)(asked)
    numbers = [[*world.item_ids].index(name) for name in ("i00", "i01")]
    assert found.windows.events.item[0].numpy().tolist() == numbers, "an event without a type is one that counts"
    assert found.signals.recent[0].numpy().tolist() == numbers[::-1][: found.signals.recent.shape[1]]
    assert found.given.history_items.shape[1] == 4, "the whole history decides what may answer"
