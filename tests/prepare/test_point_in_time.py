"""The contract of time: whatever happens later leaves every earlier example byte-identical.

Rows that happen at the same time are not later. A row without a time has always been there, so that adding an
undated item is a change to the past.
"""

import dataclasses
import math

import log_by_rows
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unified_ranker.core.arrays import MISSING
from unified_ranker.core.times import seconds
from unified_ranker.evaluation.candidates import CandidateRules
from unified_ranker.log.schema import InteractionLog
from unified_ranker.prepare.prepared import Prepared, prepare
from unified_ranker.prepare.quality import QualityAsOf
from unified_ranker.prepare.vocabulary import build_vocabulary

START = pd.Timestamp("2024-01-01", tz="UTC")
LENGTH = 8
TASKS = {
    "home_feed": {
        "positives": [{"event_type": "rating", "min_value": 3, "head": "like"}, {"event_type": "buy"}],
        "first_engagement_only": True,
        "exclude_engaged": True,
    },
    "search": {"positives": [{"event_type": "buy", "weight": 2}]},
}
ITEM = {
    "dim": 8,
    "features": [{"type": "category", "column": "maker"}, {"type": "number", "column": "price"}],
    "quality": {
        "popularity": {"type": "popularity"},
        "trend": {"type": "popularity", "window_days": 4 / 86_400},
        "ratings": {"type": "popularity", "event_types": ["rating"]},
        "rating": {"type": "mean_value", "prior": 1},
        "freshness": {"type": "freshness", "scale_days": 1e-4},
    },
}
# What no later row may unmake: each task has positives, at two times.
ALWAYS = [
    (0.0, "w", "p0", "search", "buy", None, None, None, ""),
    (0.0, "w", "p0", "home_feed", "buy", None, None, None, ""),
    (0.5, "w", "p1", "home_feed", "rating", 5.0, None, None, "GB"),
]


def moment(random, low, high):
    """A time in [low, high), in seconds with a fraction; whole seconds hold several."""
    return random.randrange(low, high) + random.choice([0.0, 0.25, 0.75])


def event_rows(random, count, low, high, items):
    """Events within [low, high): few users and much engagement, so that most rows bear on others."""
    return [
        (
            moment(random, low, high),
            random.choice(["a", "z", "z", None]),
            random.choice(items),
            random.choice(["home_feed", "home_feed", "search", "newsletter"]),
            random.choice(["rating", "buy", "buy", "view"]),
            random.choice([None, random.uniform(0, 5)]),
            random.choice([None, *items]),
            random.choice([None, *items]),
            random.choice(["", "GB", "FR"]),
        )
        for _ in range(count)
    ]


@st.composite
def futures(draw, least=0):
    """A time, a log up to it, and two ways in which the log goes on from there, `least` events or more."""
    random = draw(st.randoms(use_true_random=True))
    cut = draw(st.integers(1, LENGTH - 1))
    # Ids before, between and behind those of later items and users, so that nothing may hang on the order of ids.
    early = {"p0": None, "p1": None, "b1": None}
    early |= {name: moment(random, 0, cut) for name in random.sample(["b2", "q1", "x1", "x2"], draw(st.integers(0, 4)))}
    past = event_rows(random, draw(st.integers(0, 15)), 0, cut, sorted(early))
    past += event_rows(random, draw(st.integers(0, 10)), cut - 1, cut, sorted(early))
    ways = []
    for _ in range(2):
        names = random.sample(["a9", "b9", "q9", "z9"], draw(st.integers(0, 4)))
        late = {name: moment(random, cut, LENGTH) for name in names}
        # The worst leaks are the shortest: much happens just before and just after the cut.
        soon = event_rows(random, draw(st.integers(least, 10)), cut, cut + 1, sorted(early | late))
        ways.append((late, soon + event_rows(random, draw(st.integers(0, 10)), cut, LENGTH, sorted(early | late))))
    return cut, early, past, ways


def stamp(after):
    return None if after is None else START + pd.Timedelta(int(after * 4) * 250, "ms")


def log_of(items, rows):
    columns = ("user_id", "item_id", "task", "event_type", "value", "source_item_id", "query_item_id", "country")
    events = [{**dict(zip(columns, row[1:], strict=True)), "timestamp": stamp(row[0])} for row in rows]
    catalogue = {
        "item_id": list(items),
        "created_at": [stamp(created) for created in items.values()],
        "maker": [f"maker of {name}" for name in items],
        "price": [created or 0.0 for created in items.values()],
    }
    return log_by_rows.log_of(events, catalogue)


def named(names, indices):
    return [None if index == MISSING else names[index] for index in np.asarray(indices).tolist()]


def materialised(prepared: Prepared, config, cut: int):
    """Everything that the examples before `cut` (seconds) consist of, by ids and as bytes."""
    item_ids, histories = prepared.item_ids, prepared.histories
    examples = prepared.between(None, cut)
    rows = np.arange(len(examples))
    assert (prepared.examples.timestamp[rows] < cut).all(), "examples are in order of time"
    existing = np.flatnonzero(prepared.created_at < cut)
    assert existing.tolist() == list(range(len(existing))), "a later item never moves an earlier one"

    features = config.towers.item.quality
    quality = QualityAsOf(features, prepared.events, prepared.created_at, cut)
    matrix = quality.matrix(examples.timestamp)
    allowed = CandidateRules(prepared, config).allowed(examples)
    assert not allowed[:, len(existing) :].any(), "nobody was shown what did not exist"
    pairs = np.tile(existing, len(rows)), np.repeat(examples.timestamp, len(existing))
    gathered = quality.gather(*pairs).reshape(len(rows), len(existing), -1)

    own_gaps, last = histories.gaps(), histories.last_before(examples.user, examples.history_length)
    out = []
    for row in rows:
        begin = 0 if examples.user[row] == MISSING else histories.offsets[examples.user[row]]
        span = slice(begin, begin + examples.history_length[row])
        fields = {field.name: getattr(examples, field.name)[row] for field in dataclasses.fields(examples)}
        fields["user"] = named(prepared.user_ids, [examples.user[row]])
        for name in ("item", "source_item", "query_item"):
            fields[name] = named(item_ids, [fields[name]])
        for name in ("timestamp", "weight", "history_length", "value"):
            fields[name] = fields[name].tobytes()
        fields["history"] = {
            "item": named(item_ids, histories.item[span]),
            "event_type": histories.event_type[span].tolist(),
            "task": histories.task[span].tolist(),
            "timestamp": histories.timestamp[span].tobytes(),
            "value": histories.value[span].tobytes(),
            "gap": own_gaps[span].tobytes(),
            "previous": None if last[row] == MISSING else histories.task[last[row]],
        }
        fields["quality"] = matrix[row, existing].tobytes()
        fields["quality_gathered"] = gathered[row].tobytes()
        fields["candidates"] = item_ids[allowed[row]].tolist()
        out.append(fields)
    return item_ids[existing].tolist(), out


@settings(max_examples=60)
@given(futures())
def test_what_happens_later_leaves_every_earlier_example_byte_identical(make_config, world):
    cut, early, past, ways = world
    config = make_config(TASKS, {"item": ITEM, "user": {}})
    logs = [log_of(early | late, [*ALWAYS, *past, *rest]) for late, rest in ways]
    cut_at = int(START.timestamp()) + cut
    one, other = (prepare(log, config) for log in logs)
    (items, examples), (other_items, other_examples) = (materialised(p, config, cut_at) for p in (one, other))
    assert items == other_items
    assert len(examples) == len(other_examples) >= len(ALWAYS)
    for left, right in zip(examples, other_examples, strict=True):
        assert left == right
    assert build_vocabulary(one, config, cut_at) == build_vocabulary(other, config, cut_at)


@settings(max_examples=25)
@given(futures(least=1), st.integers(0, 14))
def test_one_later_row_deleted_or_moved_changes_no_earlier_example(make_config, world, victim):
    cut, early, past, ((late, rest), _) = world
    config = make_config(TASKS, {"item": ITEM, "user": {}})
    cut_at = int(START.timestamp()) + cut
    full = prepare(log_of(early | late, [*ALWAYS, *past, *rest]), config)
    victim %= len(rest)
    moved = (rest[victim][0] + 1, *rest[victim][1:])
    expected = materialised(full, config, cut_at)
    for changed in ([*rest[:victim], *rest[victim + 1 :]], [*rest[:victim], moved, *rest[victim + 1 :]]):
        again = prepare(log_of(early | late, [*ALWAYS, *past, *changed]), config)
        assert materialised(again, config, cut_at) == expected


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_the_end_of_a_richer_log_changes_nothing_before_it(make_log, make_config, share):
    log, config = make_log(5), make_config()
    full = prepare(log, config)
    cut_at = int(np.quantile(full.examples.timestamp, share))
    created = seconds(log.items["created_at"])
    cut = InteractionLog(
        log.events[seconds(log.events["timestamp"]) < cut_at].reset_index(drop=True),
        log.items[created < cut_at].reset_index(drop=True),
        log.users,
    )
    assert len(cut.items) < len(log.items)
    items, examples = materialised(full, config, cut_at)
    assert len(examples) > 20
    assert materialised(prepare(cut, config), config, cut_at) == (items, examples)


def test_the_world_of_these_tests_has_what_they_are_about(make_config):
    """Histories, engaged items, quality and candidates differ between the examples, so that equality says something."""
    rows = [
        *ALWAYS,
        (2.0, "w", "b1", "home_feed", "rating", 4.0, None, None, ""),
        (5.0, "w", "p0", "search", "buy", 2.0, "p1", "b1", "FR"),
        (6.0, None, "b1", "home_feed", "buy", None, None, None, ""),
    ]
    config = make_config(TASKS, {"item": ITEM, "user": {}})
    prepared = prepare(log_of({"p0": None, "p1": None, "b1": 1.0, "z9": 9.0}, rows), config)
    items, examples = materialised(prepared, config, int(START.timestamp()) + 7)
    assert items == ["p0", "p1", "b1"]
    assert [len(row["history"]["item"]) for row in examples] == [0, 0, 0, 3, 4, 0]
    assert [row["candidates"] for row in examples] == [
        ["p0", "p1"],
        ["p0", "p1"],
        ["p0", "p1"],
        ["b1"],
        ["p0"],
        ["p0", "p1", "b1"],
    ]
    assert len({row["quality"] for row in examples}) == 4, "one for each second"
    assert prepared.created_at[-1] == seconds(pd.Series([stamp(9.0)]))[0]
    assert math.isclose(prepared.examples.weight.sum(), 8.0)


def test_an_undated_item_has_always_existed_so_adding_one_changes_the_past(make_config):
    config = make_config(TASKS, {"item": ITEM, "user": {}})
    before = prepare(log_of({"p0": None, "p1": None, "x1": 3.0}, ALWAYS), config)
    after = prepare(log_of({"p0": None, "p1": None, "x1": 3.0, "a": None}, ALWAYS), config)
    assert before.item_ids.tolist() == ["p0", "p1", "x1"]
    assert after.item_ids.tolist() == ["a", "p0", "p1", "x1"]
    assert CandidateRules(after, config).allowed(after.examples)[:, 0].all()
