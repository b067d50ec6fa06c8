"""Numbers of items that count the log are found by what they know of later events; honest ones are left alone."""

import numpy as np
import pandas as pd
import pytest

from unified_ranker.prepare.undated_columns import ItemEvents, undated_columns

FIT_END = 900
REVIEW = 1
WORLDS = {
    "nothing can be predicted": (1000, 20_000, None),
    "few events": (300, 3_000, None),
    "items differ": (1000, 20_000, 3.0),
    "a long tail": (5000, 40_000, 1.0),
    "a dense log": (500, 100_000, 1.2),
}


def world(items, count, tail, seed=0):
    """Return the rates of items, and events of two types, the second with values, over the seconds 0 to 999."""
    rng = np.random.default_rng(seed)
    rates = np.ones(items) if tail is None else rng.pareto(tail, items) + 0.1
    item = rng.choice(items, count, p=rates / rates.sum())
    liked = rng.normal(3.5, 0.5, items)
    kind = (rng.random(count) < 0.3).astype(np.int64)
    value = np.where(kind == REVIEW, np.clip(np.round(liked[item] + rng.normal(0, 1, count)), 1, 5), np.nan)
    time = np.sort(rng.integers(0, 1000, count))
    return rates, ItemEvents(item.astype(np.int64), time, kind, value.astype(np.float32)), rng


def found_in(columns, events):
    return undated_columns(pd.DataFrame(columns), [events], {0: "view", REVIEW: "review"}, FIT_END)


def counts(events, items, kept=True):
    return np.bincount(events.item[kept & np.ones(len(events.item), bool)], minlength=items)


@pytest.mark.parametrize("name", WORLDS)
def test_counts_of_the_whole_log_are_found(name):
    items, count, tail = WORLDS[name]
    _, events, _ = world(items, count, tail)
    whole, reviews = counts(events, items), counts(events, items, events.event_type == REVIEW)
    columns = {"events": whole, "review_count": reviews, "in_percent": whole / whole.sum(), "doubled": 2 * whole + 7}
    found = {f.column: f for f in found_in(columns, events)}
    assert found.keys() == columns.keys()
    assert "`review`" in found["review_count"].what
    assert all(f.whole > 0.9 and f.beyond > 0.1 for f in found.values())


def test_what_is_left_of_a_stock_is_found_where_nothing_else_tells_the_targets():
    _, events, _ = world(*WORLDS["nothing can be predicted"])
    stock = {"stock": 100 - counts(events, 1000)}
    assert [f.column for f in found_in(stock, events)] == ["stock"]


def test_a_mean_of_the_whole_log_is_found():
    _, events, _ = world(800, 40_000, None)
    reviews = events.event_type == REVIEW
    stars = np.bincount(events.item[reviews], events.value[reviews], 800) / np.maximum(counts(events, 800, reviews), 1)
    found = found_in({"stars": np.round(2 * stars) / 2}, events)
    assert [f.column for f in found] == ["stars"]
    assert found[0].what == "the mean `value` of `review` events"


@pytest.mark.parametrize("name", WORLDS)
@pytest.mark.parametrize("seed", range(4))
def test_numbers_that_were_known_before_are_left_alone(name, seed):
    items, count, tail = WORLDS[name]
    rates, events, rng = world(items, count, tail, seed)
    honest = {
        "random": rng.normal(size=items),
        "year": rng.integers(1950, 2020, items),
        "price": np.exp(rng.normal(0, 1, items)) / rates**0.3,
        "count_at_fit_end": counts(events, items, events.timestamp < FIT_END),
        "one_value": np.ones(items),
        "absent": np.full(items, np.nan),
        "flag": rng.random(items) < 0.5,
    }
    assert found_in(honest, events) == []


def test_the_price_of_what_is_bought_is_no_answer():
    _, events, rng = world(800, 40_000, None)
    price = rng.lognormal(1, 1, 800)
    value = np.log(price[events.item]) + rng.normal(0, 0.3, 40_000)
    paid = ItemEvents(events.item, events.timestamp, events.event_type, value)
    mean = np.bincount(paid.item, paid.value, 800) / counts(paid, 800)
    assert found_in({"price": mean}, paid) == []


def test_a_handful_of_items_tells_nothing():
    _, events, _ = world(20, 2_000, None)
    assert found_in({"count": counts(events, 20)}, events) == []
