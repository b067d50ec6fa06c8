"""Choice of the baselines of a task, by what its requests hold."""

import numpy as np
import pytest
from log_by_rows import at, event, item, task, world

from unified_ranker.core.errors import UserError
from unified_ranker.evaluation.baselines.selection import baselines_for, fit_baselines

ITEMS = [item(f"i{n}", f"common word{n % 3} only{n}", created=n) for n in range(6)]
TASKS = {"home_feed": task(), "search": task()}


def names(task, items=ITEMS, **fields):
    events = [event(f"u{n}", f"i{n % 6}", 7 + n, task, **fields) for n in range(30)]
    prepared, _ = world(events, items, {task: TASKS["home_feed"]})
    return [baseline.name for baseline in baselines_for(prepared, task, at(40))]


@pytest.mark.parametrize("task", ["home_feed", "search", "more_like_this", "pre_query"])
def test_the_data_and_not_the_name_of_the_task_chooses(task):
    assert names(task) == ["popularity", "newest first", "item-kNN", "EASE"]
    assert names(task, query="word1") == ["popularity", "newest first", "BM25", "same query"]
    paired = ["popularity", "newest first", "BM25", "co-occurrence", "co-occurrence, two steps"]
    assert names(task, source_item_id="i1") == paired


def test_what_items_do_not_have_is_not_ranked_by():
    bare = [item(f"i{n}") for n in range(6)]

    assert names("search", bare, query="word1") == ["popularity", "same query"]


def test_a_field_that_is_there_now_and_then_adds_its_baselines():
    fields = [{"query": "word1"} if n % 5 == 0 else {} for n in range(50)]
    events = [event(f"u{n}", f"i{n % 6}", 7 + n / 10, query=f.get("query")) for n, f in enumerate(fields)]
    prepared, _ = world(events, ITEMS, {"home_feed": TASKS["home_feed"]})
    chosen = {baseline.name for baseline in baselines_for(prepared, "home_feed", at(40))}

    assert chosen == {"popularity", "newest first", "item-kNN", "EASE", "BM25", "same query"}


def test_what_a_task_has_after_the_end_of_the_fit_does_not_choose():
    events = [event("u", "i0", 7), event("u", "i1", 30, query="word1"), event("u", "i2", 31, query="word2")]
    prepared, _ = world(events, ITEMS, {"home_feed": TASKS["home_feed"]})

    assert "same query" not in {baseline.name for baseline in baselines_for(prepared, "home_feed", at(20))}


def test_fit_baselines_fits_those_of_every_task():
    prepared, _ = world([event("u", "i1", 7), event("v", "i2", 8, "search")], ITEMS, TASKS)
    baselines = fit_baselines(prepared, ["home_feed", "search"], at(12))

    assert {baseline.tasks for baseline in baselines} == {("home_feed",), ("search",)}
    assert all(np.isfinite(baseline.score(prepared.examples)).all() for baseline in baselines)


def test_those_that_are_declared_oppose_the_model_where_they_suit():
    prepared, _ = world([event("u", "i1", 7, query="word1")], ITEMS, {"home_feed": TASKS["home_feed"]})
    chosen = ["BM25", "popularity", "EASE"]
    found = fit_baselines(prepared, ["home_feed"], at(12), chosen)
    assert [baseline.name for baseline in found] == ["BM25", "popularity"]
    with pytest.raises(UserError, match=r"unknown baseline `BM52`.*Did you mean `BM25`"):
        baselines_for(prepared, "home_feed", at(12), ["BM52"])
