"""Examples and histories against the log read row by row."""

import math
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from log_by_rows import event, log_of

from unified_ranker.config import Task
from unified_ranker.core.arrays import MISSING
from unified_ranker.core.times import seconds
from unified_ranker.prepare.examples import Histories, TimeIndex, match_positives, order_of_items
from unified_ranker.prepare.prepared import prepare

SEEDS = (0, 1, 2)
NOW = pd.Timestamp("2024-05-01T12:00:00Z")


def rows_of(log):
    """The events as dicts, null as None, with whole seconds."""
    for row in log.events.to_dict("records"):
        clean = {name: None if pd.isna(value) else value for name, value in row.items()}
        yield clean | {"second": math.floor(row["timestamp"].timestamp())}


def ids(names, indices):
    return [None if i == MISSING else names[i] for i in indices]


def prefix(prepared, row):
    """Where the history of example `row` lies in the flat columns."""
    examples, histories = prepared.examples, prepared.histories
    if examples.user[row] == MISSING:
        return slice(0, 0)
    begin = histories.offsets[examples.user[row]]
    return slice(begin, begin + examples.history_length[row])


def ratings_of(*rows):
    """A log of (user, item, seconds after NOW, more columns)."""
    base = {"event_type": "rating", "value": None, "source_item_id": None}
    moments = [NOW + pd.Timedelta(after, "s") for _, _, after, _ in rows]
    return log_of(
        [event(u, i, 0, **{**base, "timestamp": at, **more}) for (u, i, _, more), at in zip(rows, moments, strict=True)]
    )


# --- time and indices -------------------------------------------------------------------------------------------


def test_seconds_round_down_and_mark_absent_times():
    times = pd.Series(pd.to_datetime(["1970-01-01T00:00:01.999999Z", None, "1969-12-31T23:59:59.5Z"], format="ISO8601"))
    assert seconds(times).tolist() == [1, np.iinfo(np.int64).min, -1]
    elsewhere = pd.Series(pd.to_datetime(["2024-05-01T14:00:00+02:00"])).dt.tz_convert("Asia/Tokyo")
    assert seconds(elsewhere).tolist() == [NOW.timestamp()]


def test_the_catalogue_is_in_order_of_creation_undated_items_first():
    items = pd.DataFrame({"item_id": list("fedcba"), "created_at": [None, 5, 3, 5, None, 3]})
    log = log_of({c: [] for c in ("user_id", "item_id", "task", "event_type", "timestamp")}, items)
    assert log.items["item_id"].iloc[order_of_items(log.items)].tolist() == ["b", "f", "a", "d", "c", "e"]


@given(
    st.lists(st.lists(st.integers(-50, 50), max_size=6), max_size=5),
    st.lists(st.tuples(st.integers(0, 4), st.one_of(st.integers(-60, 60), st.sampled_from([-(2**62), 2**62])))),
)
def test_time_index_finds_the_end_of_what_came_before(groups, asked):
    groups = [sorted(times) for times in groups]
    asked = [(group, time) for group, time in asked if group < len(groups)]
    offsets = np.cumsum([0, *map(len, groups)])
    index = TimeIndex(offsets, np.array([t for times in groups for t in times], np.int64))
    ends = index.end(np.array([g for g, _ in asked], np.int64), np.array([t for _, t in asked], np.int64))
    assert ends.tolist() == [offsets[g] + sum(t < time for t in groups[g]) for g, time in asked]


def test_lengths_before_are_zero_for_anonymous_users_even_where_there_are_no_others():
    none = np.zeros(0, np.int64)
    nobody = Histories(np.zeros(1, np.int64), none, none.astype(object), none.astype(object), none, none)
    assert nobody.lengths_before(np.array([MISSING]), np.array([5])).tolist() == [0]
    one = Histories(np.array([0, 2]), none, none.astype(object), none.astype(object), np.array([1, 4]), none)
    assert one.lengths_before(np.array([MISSING, 0, 0]), np.array([9, 9, 4])).tolist() == [0, 2, 1]


# --- histories --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_histories_hold_each_users_events_in_order_of_time(make_log, make_config, seed):
    log = make_log(seed)
    prepared = prepare(log, make_config())
    histories = prepared.histories
    assert histories.offsets[0] == 0
    assert histories.offsets[-1] == log.events["user_id"].notna().sum() == len(histories.item)
    for user, name in enumerate(prepared.user_ids):
        span = slice(histories.offsets[user], histories.offsets[user + 1])
        expected = [row for row in rows_of(log) if row["user_id"] == name]
        assert (np.diff(histories.timestamp[span]) >= 0).all()
        assert histories.timestamp[span].tolist() == [row["second"] for row in expected]
        # Those of one second have no order; they are in that of the catalogue.
        columns = (histories.event_type[span], histories.task[span], histories.value[span].tolist())
        found = list(
            zip(histories.timestamp[span], ids(prepared.item_ids, histories.item[span]), *columns, strict=True)
        )
        fields = ("second", "item_id", "event_type", "task")
        assert sorted(found) == sorted((*(row[name] for name in fields), row["value"] or 0.0) for row in expected)
        places = list(zip(histories.timestamp[span], histories.item[span], strict=True))
        assert places == sorted(places)


@pytest.mark.parametrize("seed", SEEDS)
def test_an_examples_history_is_what_its_user_did_strictly_before(make_log, make_config, seed):
    log = make_log(seed)
    prepared = prepare(log, make_config())
    examples, histories = prepared.examples, prepared.histories
    rows = list(rows_of(log))
    ties = 0
    for row, user in enumerate(ids(prepared.user_ids, examples.user)):
        before = [
            r for r in rows if user is not None and r["user_id"] == user and r["second"] < examples.timestamp[row]
        ]
        span = prefix(prepared, row)
        found = zip(histories.timestamp[span], ids(prepared.item_ids, histories.item[span]), strict=True)
        assert sorted(found) == sorted((r["second"], r["item_id"]) for r in before)
        ties += sum(r["user_id"] == user and r["second"] == examples.timestamp[row] for r in rows) > 1
    assert ties > 0, "no example ties with another event of its user: the toy log tests less than it should"


def test_events_within_one_second_are_not_before_each_other(make_config):
    log = ratings_of(("u", "a", 0.1, {"value": 5}), ("u", "b", 0.9, {"value": 5}), ("u", "c", 1.0, {"value": 5}))
    prepared = prepare(log, make_config({"home_feed": {"positives": [{"event_type": "rating"}]}}))
    assert ids(prepared.item_ids, prepared.histories.item) == ["a", "b", "c"]
    stamp = seconds(log.events["timestamp"])
    assert prepared.histories.lengths_before(np.zeros(3, np.int64), stamp).tolist() == [0, 0, 2]
    assert prepared.examples.history_length.tolist() == [0, 0, 2]
    assert prepared.examples.item.tolist() == [0, 1, 2]


# --- examples ---------------------------------------------------------------------------------------------------


def expected_examples(log, config):
    """Every positive, by the rules as the declarations state them, one event after the other."""
    engaged = set()
    for row in rows_of(log):
        task = config.tasks.get(row["task"])
        for positive in task.positives if task else ():
            strong = positive.min_value is None or (row["value"] is not None and row["value"] >= positive.min_value)
            if row["event_type"] == positive.event_type and strong:
                head = positive.head or positive.event_type
                key = (row["user_id"], row["item_id"], row["task"])
                first = row["user_id"] is None or not task.first_engagement_only
                if first or (*key, head) not in engaged:
                    yield row | {"head": head, "weight": positive.weight, "retrieved": first or key not in engaged}
                engaged |= {key, (*key, head)}
                break


@pytest.mark.parametrize("seed", SEEDS)
def test_examples_are_the_positives_in_order_of_time(make_log, make_config, seed):
    log, config = make_log(seed), make_config()
    prepared = prepare(log, config)
    examples, item_ids = prepared.examples, prepared.item_ids
    expected = list(expected_examples(log, config))
    assert len(examples) == len(expected)
    assert {row["task"] for row in expected} == set(config.tasks)
    assert {row["head"] for row in expected} == set(config.heads)
    assert (np.diff(examples.timestamp) >= 0).all()
    assert examples.timestamp.tolist() == [row["second"] for row in expected]
    assert ids(prepared.user_ids, examples.user) == [row["user_id"] for row in expected]
    assert ids(item_ids, examples.item) == [row["item_id"] for row in expected]
    assert ids(item_ids, examples.source_item) == [row["source_item_id"] for row in expected]
    assert ids(item_ids, examples.query_item) == [row["query_item_id"] for row in expected]
    assert examples.task.tolist() == [row["task"] for row in expected]
    assert examples.query.tolist() == [row["query"] or "" for row in expected]
    assert examples.country.tolist() == [row["country"] or "" for row in expected]
    assert examples.head.tolist() == [row["head"] for row in expected]
    assert examples.weight.tolist() == [row["weight"] for row in expected]
    assert examples.retrieved.tolist() == [row["retrieved"] for row in expected]


@pytest.mark.parametrize("seed", SEEDS)
def test_events_keep_every_row_and_mark_the_examples(make_log, make_config, seed):
    log, config = make_log(seed), make_config()
    prepared = prepare(log, config)
    events, rows = prepared.events, list(rows_of(log))
    assert ids(prepared.item_ids, events.item) == [row["item_id"] for row in rows]
    assert events.event_type.tolist() == [row["event_type"] for row in rows]
    assert events.timestamp.tolist() == [row["second"] for row in rows]
    values = [None if np.isnan(v) else v for v in events.value.tolist()]
    assert values == [row["value"] for row in rows]
    assert events.timestamp[events.positive].tolist() == prepared.examples.timestamp.tolist()
    assert events.item[events.positive].tolist() == prepared.examples.item.tolist()


def matched(log, **task):
    at, head, weight, _ = match_positives(log, {"home_feed": Task(**task)})
    return [(log.events["item_id"][i], h, w) for i, h, w in zip(at, head, weight.tolist(), strict=True)]


def test_an_event_counts_as_the_first_positive_that_it_matches():
    log = ratings_of(("u", "a", 0, {"value": 3.9}), ("u", "b", 1, {"value": 4.0}), ("u", "c", 2, {}))
    strong = {"event_type": "rating", "min_value": 4, "head": "love", "weight": 3.0}
    any_value = {"event_type": "rating", "head": "like"}
    assert matched(log, positives=[strong]) == [("b", "love", 3.0)]
    assert matched(log, positives=[strong, any_value]) == [("a", "like", 1.0), ("b", "love", 3.0), ("c", "like", 1.0)]
    assert [head for _, head, _ in matched(log, positives=[any_value, strong])] == ["like"] * 3
    assert matched(log, positives=[{"event_type": "purchase"}]) == []


def test_only_the_first_engagement_counts_where_the_task_says_so():
    log = ratings_of(
        ("u", "a", 0, {"value": 1.0}),  # no positive, so no engagement either
        ("u", "a", 1, {"value": 5.0}),
        ("u", "a", 2, {"value": 5.0}),
        ("v", "a", 3, {"value": 5.0}),
        (None, "a", 4, {"value": 5.0}),
        (None, "a", 5, {"value": 5.0}),
        ("u", "b", 6, {"value": 5.0}),
        ("u", "a", 7, {"value": 5.0, "task": "search"}),
    )
    positives = [{"event_type": "rating", "min_value": 4}]
    seconds_after = (log.events["timestamp"] - NOW).dt.total_seconds()

    def times(**tasks):
        found = match_positives(log, {name: Task(positives=positives, **more) for name, more in tasks.items()})
        return seconds_after.iloc[found.rows].tolist()

    first, every = {"first_engagement_only": True}, {"first_engagement_only": False}
    assert times(home_feed=first) == [1, 3, 4, 5, 6]
    assert times(home_feed=every) == [1, 2, 3, 4, 5, 6]
    # Engagement is counted task by task, and the rule binds the task that declares it.
    assert times(home_feed=first, search=first) == [1, 3, 4, 5, 6, 7]
    assert times(home_feed=every, search=first) == [1, 2, 3, 4, 5, 6, 7]


def test_each_head_has_its_own_first_engagement_and_retrieval_only_the_first_of_all():
    log = ratings_of(
        *(
            ("u", "a", after, {"event_type": kind})
            for after, kind in enumerate(("view", "cart", "view", "buy", "gift", "cart"))
        )
    )
    positives = [{"event_type": kind} for kind in ("view", "cart", "buy")] + [{"event_type": "gift", "head": "buy"}]
    found = match_positives(log, {"home_feed": Task(positives=positives, first_engagement_only=True)})
    assert found.rows.tolist() == [0, 1, 3]
    assert found.head.tolist() == ["view", "cart", "buy"]
    assert found.retrieved.tolist() == [True, False, False]


def test_gaps_and_last_events(toy_prepared):
    histories, examples = toy_prepared.histories, toy_prepared.examples
    own = histories.gaps()
    for user in range(len(toy_prepared.users)):
        span = slice(histories.offsets[user], histories.offsets[user + 1])
        times = histories.timestamp[span].tolist()
        assert own[span].tolist() == [0, *(b - a for a, b in pairwise(times))][: len(times)]
    last = histories.last_before(examples.user, examples.history_length)
    for row, user in enumerate(examples.user):
        begin = histories.offsets[user]
        before = [] if user == MISSING else range(begin, histories.offsets[user + 1])
        earlier = [r for r in before if histories.timestamp[r] < examples.timestamp[row]]
        assert last[row] == max(earlier, default=MISSING)
    assert (last == MISSING).any()
    assert (last != MISSING).any()
