"""The vocabulary knows what happened before the end of the fit window, and nothing else."""

import dataclasses
import json

import log_by_rows
import numpy as np
import pandas as pd
import pytest
from log_by_rows import log_of

from unified_ranker.core.times import seconds
from unified_ranker.log.schema import InteractionLog
from unified_ranker.prepare.prepared import prepare
from unified_ranker.prepare.vocabulary import Scale, StrengthScale, Vocabulary, build_vocabulary

TASKS = {"home_feed": {"positives": [{"event_type": "like"}]}}
JANUARY = pd.Timestamp("2024-01-01", tz="UTC")
LATE = int(pd.Timestamp("2024-02-01", tz="UTC").timestamp())


def event(user, item, day, **more):
    """A like on the `day`th of January; from 32 on it is February, behind the fit window."""
    columns = {"timestamp": JANUARY + pd.Timedelta(day - 1, "D"), "country": None, **more}
    return log_by_rows.event(user, item, 0, **columns)


def towers(item=(), profile=(), **more):
    return {"item": {"features": item}, "user": {"profile": profile}, **more}


# --- the fit window ---------------------------------------------------------------------------------------------


def test_what_comes_after_the_fit_window_does_not_get_in(make_config):
    log = log_of(
        [
            event("old", "a", 1, country="GB"),
            event("old", "undated", 2, value=-3.0),
            event("old", "b", 3, value=6.0),
            event("new", "a", 40, country="FR", event_type="share", value=9.0),
            event("new", "a", 40, value=1e6),
            event("new", "late", 41, country="FR"),
        ],
        {
            "item_id": ["a", "late", "undated"],
            "created_at": ["2024-01-01", "2024-02-01", None],
            "colour": ["red", "mauve", "blue"],
            "categories": [["x"], ["later"], ["y", "x"]],
            "price": [1.0, 1000.0, 3.0],
        },
        {
            "user_id": ["new", "old", "silent"],
            "country": ["IT", "GB", "ES"],
            "plan": ["gold", "basic", "idle"],
            "age": [90, 30, 60],
        },
    )
    item = [
        {"type": "category", "column": "colour"},
        {"type": "categories", "column": "categories"},
        {"type": "number", "column": "price"},
    ]
    profile = [{"type": "category", "column": "plan"}, {"type": "number", "column": "age"}]
    config = make_config(TASKS, towers(item, profile))
    vocabulary = build_vocabulary(prepare(log, config), config, LATE)
    assert vocabulary.tasks == ["home_feed"]
    assert vocabulary.event_types == ["like"]
    assert vocabulary.categories == [
        "categories=x",
        "categories=y",
        "colour=blue",
        "colour=red",
        "country=GB",
        "plan=basic",
    ]
    strengths = [-np.log1p(3 / 4.5), np.log1p(6 / 4.5)]
    assert vocabulary.event_values == {"like": StrengthScale(4.5, Scale(np.mean(strengths), np.std(strengths)))}
    assert vocabulary.item_numbers == {"price": Scale(2.0, 1.0)}
    assert vocabulary.user_numbers == {"age": Scale(30.0, 1.0)}


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_later_rows_change_nothing(make_log, make_config, seed):
    log, config = make_log(seed), make_config()
    prepared = prepare(log, config)
    end = int(np.median(prepared.examples.timestamp))
    created = seconds(log.items["created_at"])
    earlier = InteractionLog(
        log.events[seconds(log.events["timestamp"]) < end].reset_index(drop=True),
        log.items[created < end].reset_index(drop=True),
        log.users,
    )
    assert len(earlier.items) < len(log.items)
    assert build_vocabulary(prepare(earlier, config), config, end) == build_vocabulary(prepared, config, end)


# --- names ------------------------------------------------------------------------------------------------------


def test_rare_values_are_unknown(make_config):
    items = {"item_id": list("abc"), "maker": ["m", "m", "n"], "categories": [["x", "x"], ["y"], ["z"]]}
    log = log_of(
        [event("u", "a", 1, country="GB"), event("u", "b", 2, country="GB"), event("u", "c", 3, country="FR")], items
    )
    features = [{"type": "category", "column": "maker", "min_count": 2}, {"type": "categories", "column": "categories"}]
    config = make_config(TASKS, towers(features, context={"country_min_count": 2}))
    names = build_vocabulary(prepare(log, config), config, LATE).categories
    assert names == ["categories=x", "categories=y", "categories=z", "country=GB", "maker=m"]


def test_countries_are_those_of_requests_after_imputation(make_config):
    users = {"user_id": ["u", "v", "later"], "country": ["GB", "US", "IT"]}
    events = [
        event("u", "a", 1),
        event("v", "a", 2, country="DE"),
        event(None, "a", 3, country="FR"),
        event(None, "a", 4),
        event("later", "a", 40),
    ]
    log = log_of(events, "a", users)
    for rule, expected in (
        ("user", ["country=DE", "country=FR", "country=GB"]),
        ("none", ["country=DE", "country=FR"]),
    ):
        tasks = {"home_feed": {**TASKS["home_feed"], "imputation": {"country": rule}}}
        config = make_config(tasks, towers())
        assert build_vocabulary(prepare(log, config), config, LATE).categories == expected


# --- numbers ----------------------------------------------------------------------------------------------------


def test_scales_are_over_the_rows_that_have_the_number(make_config):
    values = {
        "price": [1.0, 3.0, None, 8.0],
        "stock": [0.1, 0.1, 0.1, 0.1],
        "weight": [np.nan] * 3 + [7.0],
        "huge": [1e30, 3e30, 2e30, 2e30],
        "sold": [0, 5, -3, None],
    }
    dated = ["2024-01-01", "2024-01-01", None, "2024-01-02"]
    items = {"item_id": list("abcd"), "created_at": dated, **values, "gone": [None, None, None, 5.0]}
    items["created_at"][3] = "2024-03-01"
    features = [{"type": "number", "column": name} for name in ("price", "stock", "weight", "huge", "gone")]
    features.append({"type": "number", "column": "sold", "log": True})
    config = make_config(TASKS, towers(features))
    log = log_of([event("u", "a", 1)], items)
    numbers = build_vocabulary(prepare(log, config), config, LATE).item_numbers
    assert numbers["price"] == Scale(2.0, 1.0)
    # What never varies is not blown up by the rounding of its mean, and what is never there is no NaN.
    assert numbers["stock"] == Scale(float(np.float32(0.1)), 1.0)
    assert numbers["weight"] == numbers["gone"] == Scale(0.0, 1.0)
    assert numbers["huge"].deviation == pytest.approx(np.std([1e30, 3e30, 2e30]))
    sold = np.log1p([0, 5, 0])
    assert dataclasses.astuple(numbers["sold"]) == pytest.approx((sold.mean(), sold.std()))


# --- id masking -------------------------------------------------------------------------------------------------


def mask_rate(make_config, log, fit_end=LATE, declared="auto", **user):
    config = make_config(TASKS, {"item": {"id_mask_rate": declared}, "user": user})
    return build_vocabulary(prepare(log, config), config, fit_end).id_mask_rate


def test_the_mask_rate_is_the_share_of_late_positives_on_new_items(make_config):
    # Twenty likes before the 19th day, and two on each of the days 28 and 29: the last tenth and a bit.
    early = [event("u", "ab"[day % 2], 1 + day * 0.9) for day in range(20)]
    seen = event("u", "c", 27, event_type="view")
    late = [event("u", "a", 28), event("u", "c", 28), event("u", "d", 28), event("u", "d", 29)]
    start = np.quantile([e["timestamp"].timestamp() for e in [*early, *late]], 0.9)
    assert early[-1]["timestamp"].timestamp() < start <= late[0]["timestamp"].timestamp()
    log = log_of([*early, seen, *late, event("u", "e", 40)], "abcde")
    # `c` had been seen, if not liked; `d` had not, either time; what `e` is lies behind the window.
    assert mask_rate(make_config, log) == pytest.approx(0.5)
    # Where histories have no views, nothing has been learnt from `c` by then.
    assert mask_rate(make_config, log, history_events=["like"]) == pytest.approx(0.75)


def test_the_mask_rate_is_bounded_and_may_be_declared(make_config):
    known = log_of([event("u", "a", day) for day in range(1, 21)], "a")
    assert mask_rate(make_config, known) == 0.02
    new = log_of([event("u", item, day) for day, item in enumerate("abcdefghijkl", 1)], "abcdefghijkl")
    assert mask_rate(make_config, new) == 0.9
    assert mask_rate(make_config, new, declared=0.25) == 0.25
    assert mask_rate(make_config, new, fit_end=0) == 0.0


def test_json_and_back(toy_prepared, toy_config):
    vocabulary = build_vocabulary(toy_prepared, toy_config, toy_prepared.split.train_end)
    assert vocabulary.item_numbers
    assert vocabulary.user_numbers
    assert Vocabulary.from_json(json.loads(json.dumps(vocabulary.to_json()))) == vocabulary


@pytest.mark.parametrize("value", [0.1, 1.0, 4.7, 1e-9, 3e8])
@pytest.mark.parametrize("rows", [3, 10, 1000])
def test_the_scale_of_equal_values_is_no_error_of_rounding(value, rows):
    """The mean of equal numbers may differ from them in the last place, and nothing may be divided by that."""
    assert Scale.of(np.full(rows, value)) == Scale(pytest.approx(value), 1.0)
    strengths = StrengthScale.of(np.full(rows, value))
    assert strengths == StrengthScale(pytest.approx(value), Scale(pytest.approx(np.log(2)), 1.0))
