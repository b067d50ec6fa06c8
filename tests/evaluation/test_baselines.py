"""Every baseline in a world whose right answer is known by construction, and against independent formulas."""

import bm25s
import numpy as np
import pytest
from log_by_rows import ask, at, by_id, event, item, task, world

from unified_ranker.evaluation.baselines.co_occurrence import CoOccurrence, CoOccurrenceWalk
from unified_ranker.evaluation.baselines.had_before import HadNewest, HadOften
from unified_ranker.evaluation.baselines.neighbours import Ease, ItemKnn, ease_weights
from unified_ranker.evaluation.baselines.popularity import NewestFirst, PopularityBaseline
from unified_ranker.evaluation.baselines.same_query import SameQuery
from unified_ranker.evaluation.baselines.title_search import Bm25
from unified_ranker.prepare.query_words import normalise_query, words
from unified_ranker.signals.bm25 import K1, B
from unified_ranker.signals.walks import REVERSE, SECOND_STEP

TASKS = {"home_feed": task(exclude_engaged=True)}


def fitted(baseline, prepared, hour):
    baseline.fit(prepared, at(hour))
    return baseline


def scores(baseline, prepared, hour, **fields):
    return by_id(prepared, baseline.score(ask(prepared, hour, **fields))[0])


def ranked(found):
    return sorted(found, key=found.get, reverse=True)


def checkerboard(users=8, items=8):
    """User i likes item j where i + j is even."""
    rows = [
        event(f"u{u}", f"i{i}", hour=1 + u + i / items) for u in range(users) for i in range(items) if (u + i) % 2 == 0
    ]
    return rows, [item(f"i{i}") for i in range(items)]


# --- popularity and newest first ---


def test_popularity_counts_the_positives_of_its_task_before_the_end():
    events = [
        event("u", "a", 1),
        event("v", "a", 2),
        event("u", "b", 3),
        event("v", "b", 10),
        event("w", "b", 11),
    ]
    events += [event(u, "c", 1, "search") for u in "uvw"]
    prepared, _ = world(events, [item(i) for i in "abc"], TASKS | {"search": task()})
    baseline = fitted(PopularityBaseline("home_feed"), prepared, 10)

    assert scores(baseline, prepared, 20) == {"a": 2, "b": 1, "c": 0}


def test_newest_first_tells_seconds_apart_and_puts_undated_items_last():
    items = [
        item("old", created=0),
        item("new", created=1 / 3600),
        item("newest", created=2 / 3600),
        item("undated"),
    ]
    prepared, _ = world([event("u", "old", 1)], items, TASKS)
    found = scores(fitted(NewestFirst("home_feed"), prepared, 9), prepared, 9)

    assert ranked(found) == ["newest", "new", "old", "undated"]
    assert len(set(found.values())) == 4


# --- item-kNN and EASE ---


@pytest.mark.parametrize("kind", [ItemKnn, Ease])
@pytest.mark.parametrize("liked", ["i0", "i1"])
def test_neighbours_solve_the_checkerboard(kind, liked):
    events, items = checkerboard()
    events += [event("new", liked, 50)]
    prepared, _ = world(events, items, TASKS)
    found = scores(fitted(kind("home_feed"), prepared, 40), prepared, 60, user="new")
    found.pop(liked)
    colour = int(liked[1]) % 2

    assert {int(name[1]) % 2 for name in ranked(found)[:3]} == {colour}


@pytest.mark.parametrize("kind", [ItemKnn, Ease])
def test_history_is_what_came_strictly_before_the_request(kind):
    events, items = checkerboard()
    events += [event("new", "i0", 50), event("new", "i1", 55)]
    prepared, _ = world(events, items, TASKS)
    baseline = fitted(kind("home_feed"), prepared, 40)
    popular = scores(fitted(PopularityBaseline("home_feed"), prepared, 40), prepared, 50)

    assert scores(baseline, prepared, 50, user="new") == popular
    only_first = scores(baseline, prepared, 55, user="new")
    both = scores(baseline, prepared, 56, user="new")
    assert only_first != both
    assert only_first["i2"] > only_first["i3"]


@pytest.mark.parametrize("kind", [ItemKnn, Ease])
def test_without_history_the_popular_items_come_first(kind):
    events, items = checkerboard()
    events += [event(f"fan{n}", "i5", 30) for n in range(4)]
    prepared, _ = world(events, items, TASKS)
    baseline = fitted(kind("home_feed"), prepared, 40)

    assert ranked(scores(baseline, prepared, 60))[0] == "i5"
    assert ranked(scores(baseline, prepared, 60, user="fan0")) != ranked(scores(baseline, prepared, 60))


def engagements(seed=0, users=30, items=7):
    random = np.random.default_rng(seed)
    matrix = random.random((users, items)) < random.uniform(0.1, 0.6, items)
    matrix[0] = True
    rows = [event(f"u{u:02}", f"i{i}", 1 + u) for u, i in zip(*matrix.nonzero(), strict=True)]
    return matrix.astype(float), rows, [item(f"i{i}") for i in range(items)]


def test_knn_is_the_sum_of_cosines_without_the_item_itself():
    matrix, events, items = engagements()
    prepared, _ = world(events, items, TASKS)
    norms = np.linalg.norm(matrix, axis=0)
    cosine = matrix.T @ matrix / norms[:, None] / norms
    np.fill_diagonal(cosine, 0)
    found = fitted(ItemKnn("home_feed"), prepared, 99).score(ask(prepared, 99, user="u05"))[0]

    np.testing.assert_allclose(found, matrix[5] @ cosine, rtol=1e-5, atol=1e-6)


def test_ease_is_the_ridge_regression_of_each_item_on_the_others():
    matrix, events, items = engagements()
    prepared, _ = world(events, items, TASKS)
    weights = np.zeros((7, 7))
    for own in range(7):
        others = np.arange(7) != own
        x, y = matrix[:, others], matrix[:, own]
        weights[others, own] = np.linalg.solve(x.T @ x + 3.0 * np.eye(6), x.T @ y)
    found = fitted(Ease("home_feed", regularisation=3.0), prepared, 99).score(ask(prepared, 99, user="u05"))[0]

    np.testing.assert_allclose(found, matrix[5] @ weights, rtol=1e-3, atol=1e-5)


def test_ease_covers_the_items_with_most_positives_and_says_so():
    events = [event(f"u{n}", i, 1) for i, times in (("a", 5), ("b", 4), ("c", 3), ("d", 2)) for n in range(times)]
    prepared, _ = world(events, [item(i) for i in "abcde"], TASKS)
    small = fitted(Ease("home_feed", regularisation=1.0, most_items=2), prepared, 9)
    found = scores(small, prepared, 9, user="u0")

    assert "the 2 items with most positives; 2 others" in small.note
    assert {name for name, score in found.items() if score} == {"a", "b"}
    assert fitted(Ease("home_feed", most_items=4), prepared, 9).note == ""


def test_ease_weights_of_a_matrix_that_is_none_of_its_kind_are_an_error():
    with pytest.raises(np.linalg.LinAlgError, match="not positive definite"):
        ease_weights(np.array([[1, 5], [5, 1]], np.float32, order="F"), 0.1)


def test_other_tasks_count_as_engagement():
    events, items = checkerboard()
    liked = [row | {"task": "search"} for row in events]
    prepared, _ = world([*liked, event("z", "i0", 1)], items, TASKS | {"search": task()})
    found = scores(fitted(ItemKnn("home_feed"), prepared, 40), prepared, 60, user="u1")

    assert all(found[f"i{odd}"] > 0 for odd in (1, 3, 5, 7))


# --- BM25 ---

TITLES = {
    "a": "The Matrix",
    "b": "The Matrix Reloaded, the sequel",
    "c": "A Quiet Place",
    "d": "Reloaded: a matrix of the matrix",
    "e": None,
}


def bm25_by_hand(query, titles, known):
    """BM25 (Lucene's form) with the statistics of the `known` titles."""
    split = {name: words(title or "") for name, title in titles.items()}
    mean = np.mean([len(split[name]) for name in known])
    found = {}
    for name, title in split.items():
        total = 0.0
        for word in words(query):
            times = title.count(word)
            having = sum(word in split[other] for other in known)
            weight = np.log(1 + (len(known) - having + 0.5) / (having + 0.5))
            total += weight * times / (times + K1 * (1 - B + B * len(title) / mean))
        found[name] = total
    return found


def test_bm25_has_the_statistics_of_the_titles_known_at_the_end():
    items = [item(name, title, created=50 if name in "bd" else 0) for name, title in TITLES.items()]
    prepared, _ = world([event("u", "a", 1)], items, TASKS)
    found = scores(fitted(Bm25("home_feed"), prepared, 10), prepared, 99, query="matrix, RELOADED matrix")

    expected = bm25_by_hand("matrix reloaded matrix", TITLES, known="ace")
    assert found == pytest.approx(expected, abs=2e-4)
    assert ranked(found)[0] == "d"


def test_bm25_is_that_of_the_library_where_everything_is_known():
    items = [item(name, title or "") for name, title in TITLES.items()]
    prepared, _ = world([event("u", "a", 1)], items, TASKS)
    found = fitted(Bm25("home_feed"), prepared, 10).score(ask(prepared, 99, query="the matrix"))[0]
    library = bm25s.BM25(k1=K1, b=B, method="lucene")
    library.index([words(title or "") for title in TITLES.values()], show_progress=False)

    np.testing.assert_allclose(found, library.get_scores(["the", "matrix"]), atol=2e-4)


def test_bm25_takes_the_title_of_the_source_where_there_is_no_query():
    items = [item(name, title) for name, title in TITLES.items()]
    prepared, _ = world([event("u", "a", 1)], items, TASKS)
    baseline = fitted(Bm25("home_feed"), prepared, 10)

    assert scores(baseline, prepared, 99, source="c") == scores(baseline, prepared, 99, query="a quiet place")
    both = scores(baseline, prepared, 99, source="c", query="matrix")
    assert both == scores(baseline, prepared, 99, query="matrix")


@pytest.mark.parametrize("fields", [{}, {"source": "e"}, {"query": "zzz ?!"}, {"query": "…"}])
def test_bm25_without_a_known_word_leaves_it_to_popularity(fields):
    items = [item(name, title) for name, title in TITLES.items()]
    prepared, _ = world([event("u", "c", 1), event("v", "c", 1), event("u", "b", 1)], items, TASKS)
    found = scores(fitted(Bm25("home_feed"), prepared, 10), prepared, 99, **fields)

    assert ranked(found)[:2] == ["c", "b"]
    assert found["a"] == found["d"] == found["e"] == 0


def test_bm25_over_titles_without_any_word_is_popularity():
    prepared, _ = world([event("u", "b", 1)], [item("a", "?"), item("b", "!")], TASKS)

    found = scores(fitted(Bm25("home_feed"), prepared, 10), prepared, 9, query="a")
    assert found["b"] > found["a"] == 0


# --- same query ---


def test_same_query_follows_what_was_chosen_for_it_before():
    events = [
        event("u", "a", 1, query="The  Matrix!"),
        event("v", "a", 2, query="the matrix"),
        event("w", "b", 3, query="THE MATRIX"),
        *[event(f"x{n}", "c", 4, query="quiet") for n in range(9)],
        event("y", "b", 50, query="the matrix"),
    ]
    prepared, _ = world(events, [item(i) for i in "abcd"], TASKS)
    baseline = fitted(SameQuery("home_feed"), prepared, 40)

    # However popular, an item that nobody chose for the query stays behind one that somebody did.
    assert ranked(scores(baseline, prepared, 60, query="the matrix")) == ["a", "b", "c", "d"]
    assert ranked(scores(baseline, prepared, 60, query="«The»  MATRIX?")) == ["a", "b", "c", "d"]
    assert ranked(scores(baseline, prepared, 60, query="quiet"))[:2] == ["c", "a"]
    unseen = scores(baseline, prepared, 60, query="never asked")
    assert unseen == scores(baseline, prepared, 60)
    assert ranked(unseen)[:2] == ["c", "a"]


def test_queries_are_the_same_in_any_case_form_and_punctuation():
    assert normalise_query(" Café—CRÈME ") == normalise_query("cafe\u0301 crème") == "café crème"
    assert normalise_query("\uff46\uff55\uff4c\uff4c") == "full"
    assert normalise_query("red shoes") != normalise_query("shoes red")
    assert normalise_query("?!") == ""


# --- co-occurrence ---


def pairs(*chosen):
    return [event(f"u{n}", target, 1, source_item_id=source) for n, (source, target) in enumerate(chosen)]


def test_co_occurrence_counts_pairs_and_the_reverse_a_quarter():
    events = pairs(("a", "b"), ("a", "b"), ("c", "a"), ("d", "e"), ("d", "e"), ("d", "e"))
    prepared, _ = world(events, [item(i) for i in "abcdef"], TASKS)
    found = scores(fitted(CoOccurrence("home_feed"), prepared, 9), prepared, 9, source="a")

    # e is most popular, and yet behind b and c, which have something to do with a.
    assert ranked(found)[:3] == ["b", "c", "e"]
    assert 2 <= found["b"] < 2 + REVERSE
    assert REVERSE <= found["c"] < 2 * REVERSE
    assert 0 < found["e"] < REVERSE
    assert found["f"] == found["d"] == 0


def test_co_occurrence_walks_two_steps():
    events = pairs(("a", "b"), ("a", "b"), ("a", "c"), ("b", "d"), ("c", "d"), ("e", "f"))
    prepared, _ = world(events, [item(i) for i in "abcdef"], TASKS)
    forward = np.zeros((6, 6))
    for source, target in ["ab", "ab", "ac", "bd", "cd", "ef"]:
        forward["abcdef".index(source), "abcdef".index(target)] += 1
    step = forward + 0.25 * forward.T
    step /= step.sum(axis=1, keepdims=True)
    expected = (step + SECOND_STEP * step @ step)[0]
    baseline = fitted(CoOccurrenceWalk("home_feed"), prepared, 9)

    np.testing.assert_allclose(baseline.score(ask(prepared, 9, source="a"))[0], expected, atol=2e-6)
    found = scores(baseline, prepared, 9, source="a")
    assert found["d"] > found["f"]
    assert scores(fitted(CoOccurrence("home_feed"), prepared, 9), prepared, 9, source="a")["d"] < REVERSE


@pytest.mark.parametrize("kind", [CoOccurrence, CoOccurrenceWalk])
@pytest.mark.parametrize("fields", [{}, {"source": "f"}])
def test_co_occurrence_of_an_unknown_source_is_popularity(kind, fields):
    events = pairs(("a", "b"), ("a", "b"), ("c", "d"))
    prepared, _ = world(events, [item(i) for i in "abcdef"], TASKS)

    assert ranked(scores(fitted(kind("home_feed"), prepared, 9), prepared, 9, **fields))[:2] == ["b", "d"]


# --- what the user had before ---


def visits():
    """User u had a three times, then b and c in one basket, b twice in all; others like z most, then y."""
    rows = [event("u", i, hour) for i, hour in (("a", 1), ("a", 2), ("b", 3), ("a", 4), ("b", 9), ("c", 9), ("y", 30))]
    rows += [event(f"v{n}", "z", 5) for n in range(5)] + [event(f"v{n}", "y", 6) for n in range(2)]
    return world(rows, [item(i) for i in "abcdyz"], {"home_feed": task()})[0]


@pytest.mark.parametrize(("kind", "order"), [(HadNewest, "bcazyd"), (HadOften, "abczyd")])
def test_what_the_user_had_comes_first_and_popularity_orders_the_rest(kind, order):
    baseline = fitted(kind("home_feed"), visits(), 10)
    assert "".join(ranked(scores(baseline, visits(), 20, user="u"))) == order


@pytest.mark.parametrize("kind", [HadNewest, HadOften])
def test_what_was_had_after_the_fit_and_before_the_request_counts(kind):
    baseline = fitted(kind("home_feed"), visits(), 10)
    assert ranked(scores(baseline, visits(), 31, user="u")).index("y") < 4
    assert scores(baseline, visits(), 30, user="u") == scores(baseline, visits(), 20, user="u")


@pytest.mark.parametrize("kind", [HadNewest, HadOften])
def test_whoever_had_nothing_gets_what_is_popular(kind):
    baseline = fitted(kind("home_feed"), visits(), 10)
    popular = ranked(scores(fitted(PopularityBaseline("home_feed"), visits(), 10), visits(), 20))
    for fields in ({}, {"user": "nobody"}):
        assert ranked(scores(baseline, visits(), 20, **fields)) == popular


def test_a_basket_has_no_order_but_that_of_popularity():
    """Popularity is u's own purchases and those of others: c has one more than b."""
    rows = [event("u", "b", 5), event("u", "c", 5), event("v", "c", 6)]
    for given in (rows, [rows[1], rows[0], rows[2]]):
        prepared, _ = world(given, [item(i) for i in "abc"], {"home_feed": task()})
        for kind in (HadNewest, HadOften):
            baseline = fitted(kind("home_feed"), prepared, 10)
            assert ranked(scores(baseline, prepared, 20, user="u")) == ["c", "b", "a"]
