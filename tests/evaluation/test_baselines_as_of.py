"""What every baseline has in common: nothing that happens later reaches an earlier request."""

import inspect

import numpy as np
import pytest
from evaluation_toy import ask, at, by_id, event, item, task, world

from unified_ranker.evaluation.baselines import co_occurrence as pairs
from unified_ranker.evaluation.baselines import neighbours, popularity
from unified_ranker.evaluation.baselines import same_query as queries
from unified_ranker.evaluation.baselines import title_search as text
from unified_ranker.evaluation.baselines.base import Baseline
from unified_ranker.evaluation.baselines.selection import baselines_for, fit_baselines

BASELINES = [
    kind
    for module in (neighbours, pairs, popularity, queries, text)
    for kind in vars(module).values()
    if inspect.isclass(kind) and issubclass(kind, Baseline) and not kind.__name__.startswith("_")
    if kind is not Baseline
]
ITEMS = [item(f"i{n}", f"common word{n % 3} only{n}", created=n) for n in range(6)]
TASKS = {"home_feed": task(), "search": task()}


def early():
    random = np.random.default_rng(3)
    return [
        event(
            f"u{random.integers(5)}",
            f"i{random.integers(6)}",
            7 + n / 10,
            ["home_feed", "search"][n % 2],
            source_item_id=f"i{random.integers(6)}",
            query=["word1", "common", "only2"][n % 3],
        )
        for n in range(60)
    ]


def late():
    return [event(f"u{n % 5}", f"i{n % 6}", 30 + n, source_item_id=f"i{n % 4}", query="word1") for n in range(12)]


@pytest.mark.parametrize("kind", BASELINES, ids=lambda kind: kind.__name__)
def test_later_rows_change_no_earlier_score(kind):
    found = []
    new_items = [item("later", "common only2 only2 brandnew", created=20)]
    new_rows = [event("u1", "later", 31, source_item_id="i1", query="word1")]
    for events, items in (
        (early(), ITEMS),
        (early() + late(), ITEMS),
        (early() + late() + new_rows, ITEMS + new_items),
    ):
        prepared, _ = world(events, items, TASKS)
        baseline = kind("home_feed")
        baseline.fit(prepared, at(12))
        rows = baseline.score(ask(prepared, 15, user="u1", source="i1", query="word1 only2"))
        found.append({name: score for name, score in by_id(prepared, rows[0]).items() if name != "later"})

    assert found[0] == found[1] == found[2]
    assert len(set(found[0].values())) > 1


@pytest.mark.parametrize("kind", BASELINES, ids=lambda kind: kind.__name__)
def test_rows_at_the_end_of_the_fit_do_not_count(kind):
    found = []
    for more in ([], [event("u9", "i5", 12, source_item_id="i1", query="word1 only2") for _ in range(9)]):
        prepared, _ = world(early() + more, ITEMS, TASKS)
        baseline = kind("home_feed")
        baseline.fit(prepared, at(12))
        found.append(baseline.score(ask(prepared, 12, user="u1", source="i1", query="word1 only2")).tolist())

    assert found[0] == found[1]


@pytest.mark.parametrize("kind", BASELINES, ids=lambda kind: kind.__name__)
def test_scores_are_finite_float32_of_the_whole_catalogue(kind):
    prepared, _ = world(early(), ITEMS, TASKS)
    baseline = kind("home_feed")
    with pytest.raises(RuntimeError, match=f"`{baseline.name}` must be fitted"):
        baseline.score(prepared.examples)
    baseline.fit(prepared, at(12))
    found = baseline.score(prepared.examples)

    assert found.shape == (len(prepared.examples), len(ITEMS))
    assert found.dtype == np.float32
    assert np.isfinite(found).all()


@pytest.mark.parametrize("kind", BASELINES, ids=lambda kind: kind.__name__)
def test_fitting_on_nothing_is_no_failure(kind):
    prepared, _ = world(early(), ITEMS, TASKS)
    baseline = kind("home_feed")
    baseline.fit(prepared, at(-1))

    assert np.isfinite(baseline.score(prepared.examples)).all()


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
    prepared, _ = world(early(), ITEMS, TASKS)
    baselines = fit_baselines(prepared, ["home_feed", "search"], at(12))

    assert {baseline.tasks for baseline in baselines} == {("home_feed",), ("search",)}
    assert all(np.isfinite(baseline.score(prepared.examples)).all() for baseline in baselines)
