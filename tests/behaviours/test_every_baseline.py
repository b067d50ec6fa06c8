"""Behaviours of every baseline: it scores the whole catalogue, and nothing that happens later reaches a request."""

import numpy as np
import pytest
from log_by_rows import ask, at, by_id, event, item, task, world

from unified_ranker.evaluation.baselines.base import BASELINES, TaskFacts
from unified_ranker.evaluation.baselines.selection import facts_of_task

ITEMS = [item(f"i{n}", f"common word{n % 3} only{n}", created=n) for n in range(6)]
TASKS = {"home_feed": task(), "search": task()}


@pytest.fixture(params=list(BASELINES))
def kind(request):
    return BASELINES[request.param]


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


def test_rows_at_the_end_of_the_fit_do_not_count(kind):
    found = []
    for more in ([], [event("u9", "i5", 12, source_item_id="i1", query="word1 only2") for _ in range(9)]):
        prepared, _ = world(early() + more, ITEMS, TASKS)
        baseline = kind("home_feed")
        baseline.fit(prepared, at(12))
        found.append(baseline.score(ask(prepared, 12, user="u1", source="i1", query="word1 only2")).tolist())

    assert found[0] == found[1]


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


def test_fitting_on_nothing_is_no_failure(kind):
    prepared, _ = world(early(), ITEMS, TASKS)
    baseline = kind("home_feed")
    baseline.fit(prepared, at(-1))

    assert np.isfinite(baseline.score(prepared.examples)).all()


def test_a_request_of_which_nothing_is_known_is_scored(kind):
    """Neither its user nor its query was there before, and it has no source item."""
    prepared, _ = world(early(), ITEMS, TASKS)
    baseline = kind("home_feed")
    baseline.fit(prepared, at(12))
    for fields in ({}, {"user": "nobody", "query": "word that no title has"}, {"source": "i5"}):
        assert np.isfinite(baseline.score(ask(prepared, 15, **fields))).all()


def test_scores_of_a_request_do_not_depend_on_the_batch(kind):
    prepared, _ = world(early(), ITEMS, TASKS)
    baseline = kind("home_feed")
    baseline.fit(prepared, at(12))
    whole = baseline.score(prepared.examples)
    for row in (0, len(whole) - 1):
        np.testing.assert_allclose(baseline.score(prepared.examples.take(np.array([row])))[0], whole[row], rtol=1e-6)


def test_it_scores_its_own_task_and_suits_one_that_has_everything(kind):
    assert kind("search").tasks == ("search",)
    assert BASELINES[kind.name] is kind
    assert kind.suits(TaskFacts(queries=True, sources=True, neither=True, titles=True, creation_times=True, again=True))


def test_the_facts_are_those_of_the_fit_window():
    events = [event("u", "i0", 7), event("u", "i1", 30, query="word1"), event("u", "i2", 31, query="word2")]
    prepared, _ = world(events, ITEMS, {"home_feed": TASKS["home_feed"]})
    assert facts_of_task(prepared, "home_feed", at(20)) == TaskFacts(False, False, True, True, True, False)
    assert facts_of_task(prepared, "home_feed", at(40)).queries


def test_a_task_offers_again_where_its_positives_come_again_at_a_later_time():
    events = [event("u", "i0", 7), event("u", "i0", 7), event(None, "i0", 8), event(None, "i0", 9), event("v", "i0", 9)]
    for more, first_only, again in (
        ([], False, False),
        ([event("u", "i0", 10)], False, True),
        ([event("u", "i0", 10)], True, False),
    ):
        prepared, _ = world(events + more, ITEMS, {"home_feed": task(first_engagement_only=first_only)})
        assert facts_of_task(prepared, "home_feed", at(20)).again == again
