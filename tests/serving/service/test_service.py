"""The ranking service against answers that are worked out item by item, and retrieval through poor indexes."""

import contextlib
import subprocess
import sys
from dataclasses import replace

import hypothesis
import numpy as np
import pytest
from damaged_pages import damage
from hypothesis import strategies as st
from service_toy import (
    CANDIDATES,
    DAY,
    IDS,
    IMPUTED,
    ITEMS,
    LATE,
    LIMITS,
    NOW,
    RELEASE,
    START,
    VECTORS,
    ToyHistories,
    ToyModel,
    events,
    expected,
    service,
    vector,
)

from unified_ranker.core.errors import UserError
from unified_ranker.core.event import Event
from unified_ranker.core.offers import Offers
from unified_ranker.core.places import DIRECTORY
from unified_ranker.core.request import Request
from unified_ranker.core.times import NEVER
from unified_ranker.events.base import MOST
from unified_ranker.events.open_histories import open_history_store
from unified_ranker.release.indexes.base import Index
from unified_ranker.release.indexes.exact import ExactSearch
from unified_ranker.serving.answering.recommending import answer_batch
from unified_ranker.serving.answering.request_rule import RequestRule
from unified_ranker.serving.retrieval.retriever import Retriever
from unified_ranker.serving.service.ranking_service import UnavailableError

QUERY = "0.5,-1,2"


def answered(request: Request, **settings):
    return service(**settings).recommend(request).answer


def ids(answer) -> list[str]:
    return [item.item_id for item in answer.items]


# --- the whole way ------------------------------------------------------------------------------------------------


def test_answer_has_the_rankers_order_over_the_candidates_of_retrieval():
    answer = answered(Request("u", "search", query=QUERY, history=events(("i1", "click", "search", START, 0.0))))
    right = expected(QUERY, CANDIDATES["search"], LIMITS["search"])
    assert ids(answer) == [item for item, _ in right]
    assert answer.imputed_query == QUERY
    for item, (name, retrieval) in zip(answer.items, right, strict=True):
        assert item.retrieval_score == pytest.approx(retrieval, rel=1e-5)
        assert item.score == pytest.approx(-retrieval, rel=1e-5)
        assert item.heads == {"like": pytest.approx(0.1)}
        assert item.title == f"Title {name[1:]}"


def test_imputed_query_is_in_the_answer():
    assert answered(Request("u", "home_feed")).imputed_query == IMPUTED


def test_the_request_is_encoded_once_and_both_calls_share_one_deadline():
    model = ToyModel()
    service(model, deadline=3.0).recommend(Request("u", "search", query=QUERY))
    (first, encode), (second, rank) = model.calls
    assert (first, second) == ("encode", "rank_encoded")
    assert 0 < encode < 0.7 * 3.0, "ranking is left its time"
    assert encode < rank < 0.95 * 3.0, "the next rung is left its time"


def test_no_time_is_left_for_the_model_once_the_deadline_has_passed():
    model = ToyModel()
    service(model, deadline=0.0).recommend(Request("u", "search", query=QUERY))
    assert [timeout for _, timeout in model.calls] == [0.0, 0.0]


def test_stages_are_timed_within_the_total():
    made = service().recommend(Request("u", "search", query=QUERY))
    timings = dict(made.timings_ms)
    total = timings.pop("total")
    assert list(timings) == ["encode", "retrieve", "rank"]
    assert all(spent >= 0 for spent in timings.values())
    assert total >= sum(timings.values())
    assert made.degraded is None
    assert made.release == 7


def test_unknown_task_is_refused_with_the_nearest():
    with pytest.raises(UserError, match=r"`serch`.*`home_feed`, `search`.*Did you mean `search`\?"):
        answered(Request("u", "serch"))


# --- which items may answer ---------------------------------------------------------------------------------------

BEST = [item for item, _ in reversed(expected(QUERY, CANDIDATES["search"], CANDIDATES["search"]))]


@pytest.mark.parametrize("field", ["source_item_id", "query_item_id"])
def test_item_of_the_request_is_no_answer_and_the_next_takes_its_place(field):
    request = Request("u", "search", query=QUERY, limit=6, **{field: BEST[0]})
    assert sorted(ids(answered(request))) == sorted(i for i, _ in expected(QUERY, 6, 6, [BEST[0]]))


@pytest.mark.parametrize(
    ("event", "stays"),
    [
        (("rating", "home_feed", 10, 4.0), False),
        (("rating", "home_feed", 10, 3.5), True),
        (("view", "home_feed", 10, 5.0), True),
        (("rating", "search", 10, 5.0), True),
        (("rating", "home_feed", 20, 5.0), True),  # at the time of the request is not before it
    ],
    ids=["positive", "too weak", "other type", "other task", "not before"],
)
def test_what_the_user_engaged_with_before_is_no_answer(event, stays):
    kind, task, second, value = event
    history = events((BEST[0], kind, task, START + DAY * 30 + second, value))
    request = Request("u", "home_feed", query=QUERY, timestamp=START + DAY * 30 + 20, limit=8, history=history)
    assert (BEST[0] in ids(answered(request))) == stays


@pytest.mark.parametrize("by", ["the store", "the request", "the Recommender"])
@pytest.mark.parametrize(("seconds", "stays"), [(0, False), (30, False), (3600, True)])
def test_what_was_engaged_with_this_very_second_is_no_answer_and_what_will_be_is_one(by, seconds, stays):
    """A request without a time is made just after its latest event, unless that is further ahead than clocks are."""
    history = events((BEST[0], "rating", "home_feed", NOW + seconds, 5.0))
    request = Request("ann", "home_feed", query=QUERY, limit=8, history=history)
    if by == "the store":
        store = ToyHistories({"ann": history})
        asked = replace(request, history=events())
        answer = service(histories=store).recommend(asked, look_up_history=True).answer
    elif by == "the request":
        answer = service().recommend(request).answer
    else:
        (answer,) = answer_batch(RELEASE, [request], ToyModel().predict, Retriever(RELEASE))
    assert (BEST[0] in ids(answer)) == stays


def test_task_that_allows_engaged_items_gives_them():
    history = events((BEST[0], "click", "search", START, 0.0))
    assert BEST[0] in ids(answered(Request("u", "search", query=QUERY, limit=6, history=history)))


@pytest.mark.parametrize("days", [0, 3, 10])
def test_items_created_after_the_request_are_no_answers(days):
    time = START + days * DAY + 1
    answer = answered(Request("u", "search", query=QUERY, timestamp=time, limit=ITEMS))
    assert sorted(ids(answer)) == sorted(f"i{n}" for n in range(LATE.start + days))


def test_request_without_a_time_is_made_now():
    release = replace(RELEASE, clock=lambda: START + 2.9 * DAY)
    answer = answered(Request("u", "search", query=QUERY, limit=ITEMS), release=release)
    assert len(answer.items) == LATE.start + 2


def test_no_item_that_may_answer_is_no_answer_and_no_call_to_rank():
    release = replace(RELEASE, created_at=np.full(ITEMS, NOW + 1))
    model = ToyModel()
    assert answered(Request("u", "search", query=QUERY), release=release, model=model).items == ()
    assert [signature for signature, _ in model.calls] == ["encode"]


# --- how many -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", ["home_feed", "search"])
def test_limit_is_the_tasks_own_unless_given(task):
    assert len(answered(Request("u", task)).items) == LIMITS[task]
    assert len(answered(Request("u", task, limit=2)).items) == 2


@pytest.mark.parametrize("limit", [7, 20, ITEMS, ITEMS + 5])
def test_limit_above_the_candidates_is_met_while_the_catalogue_can(limit):
    answer = answered(Request("u", "search", query=QUERY, limit=limit, source_item_id="i0"))
    assert ids(answer) == [item for item, _ in expected(QUERY, limit, limit, ["i0"])]
    assert len(answer.items) == min(limit, ITEMS - 1)


# --- histories ----------------------------------------------------------------------------------------------------

LIKED = events((BEST[0], "rating", "home_feed", START, 5.0), (BEST[1], "rating", "home_feed", START + 9, 5.0))


def test_history_of_the_store_is_taken_as_of_the_request():
    store = ToyHistories({"ann": LIKED})
    request = Request("ann", "home_feed", query=QUERY, timestamp=START + 9, limit=8)
    answer = service(histories=store).recommend(request, look_up_history=True).answer
    assert store.asked == [("ann", START + 9)]
    assert BEST[0] not in ids(answer)
    assert BEST[1] in ids(answer)
    assert answer.items[0].heads == {"like": pytest.approx(0.1)}


def test_damaged_pages_of_the_store_are_an_answer_without_a_history_that_is_counted(tmp_path):
    with contextlib.closing(open_history_store(str(tmp_path))) as store:
        store.append([Event("ann", f"i{n}", "home_feed", "rating", START + n, 5.0) for n in range(20)])
        damage(tmp_path / "data.mdb", sparing=b"histories")
        ranker = service(histories=store)
        made = ranker.recommend(Request("ann", "home_feed", query=QUERY), look_up_history=True)
    assert (made.degraded, made.known_user, len(made.answer.items)) == ("no_history", False, LIMITS["home_feed"])
    assert b'unified_ranker_errors_total{reason="store",stage="history"} 1.0' in ranker.metrics.text()


@pytest.mark.parametrize("scheme", [DIRECTORY, "redis"])
def test_events_of_later_times_do_not_take_the_places_of_a_users_own(scheme, request, tmp_path):
    """A thousand that a clock of tomorrow dated, and what an earlier version of the service took for the year 9000."""
    place = str(tmp_path) if scheme == DIRECTORY else request.getfixturevalue("redis_process").url("later:")
    with contextlib.closing(open_history_store(place)) as store:
        store.append(
            [Event("ann", "i1", "home_feed", "rating", NOW - 5, 5.0), Event("ann", "i2", "x", "view", NOW + 30)]
        )
        for first in (NOW + 3_600, NOW * 100):
            store.append([Event("ann", f"i{n % ITEMS}", "home_feed", "rating", first + n, 5.0) for n in range(MOST)])
        made = service(histories=store).recommend(Request("ann", "home_feed", query=QUERY, limit=60), True)
    assert made.answer.items[0].heads["like"] == pytest.approx(0.2), "two events, one by a clock that is a little ahead"
    assert set(ids(made.answer)) == {item for item, _ in expected(QUERY, ITEMS, ITEMS, ["i1"], NOW + 31)} - {"i1"}


def test_history_of_the_request_is_left_alone():
    store = ToyHistories({"ann": LIKED})
    answer = service(histories=store).recommend(Request("ann", "home_feed", query=QUERY, limit=8)).answer
    assert store.asked == []
    assert BEST[0] in ids(answer)


@pytest.mark.parametrize("user", ["", "nobody"])
def test_anonymous_and_unknown_users_get_answers(user):
    store = ToyHistories({"": LIKED})
    answer = service(histories=store).recommend(Request(user, "home_feed", query=QUERY), look_up_history=True).answer
    assert ids(answer) == [item for item, _ in expected(QUERY, CANDIDATES["home_feed"], LIMITS["home_feed"])]


def test_service_without_a_store_answers():
    answer = service().recommend(Request("ann", "home_feed", query=QUERY), look_up_history=True).answer
    assert len(answer.items) == LIMITS["home_feed"]


# --- a model that gives nonsense ----------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [np.float32([[1, np.nan, 1]]), np.float32([[1, 1, 1, 1]])], ids=["nan", "wide"])
def test_query_vector_that_is_none_is_no_answer_while_none_is_kept(value):
    with pytest.raises(UnavailableError, match=r"query vectors must be as wide|`query_vector` must be finite"):
        answered(Request("u", "search", query=QUERY), model=ToyModel(broken={"query_vector": value}))


@pytest.mark.parametrize("output", ["score", "retrieval_score", "like"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_ranks_that_are_no_numbers_leave_the_order_of_retrieval(output, value):
    ranker = service(ToyModel(broken={output: np.full((1, 6), value, np.float32)}))
    made = ranker.recommend(Request("u", "search", query=QUERY))
    assert made.degraded == "two_tower"
    best = [i for i, _ in reversed(expected(QUERY, CANDIDATES["search"], CANDIDATES["search"]))]
    assert [i.item_id for i in made.answer.items] == best[: LIMITS["search"]]


def test_model_state_is_that_of_the_releases_version():
    states = {6: "AVAILABLE", 7: "LOADING"}
    for known, state in ((states, "LOADING"), ({6: "AVAILABLE"}, "unknown")):
        ranker = service(ToyModel(states=known))
        assert ranker.state_of(ranker.engines["stable"]) == state


# --- batches ------------------------------------------------------------------------------------------------------


def test_a_batch_gives_what_its_requests_give_alone():
    requests = [
        Request("u", "search", query=QUERY, limit=2),
        Request("u", "home_feed", query="1,2,3", history=LIKED),
        Request("u", "search", query="-1,0,1", limit=ITEMS, timestamp=START + 3 * DAY),
        Request("", "home_feed", source_item_id="i7"),
    ]
    together = answer_batch(RELEASE, requests, ToyModel().predict, Retriever(RELEASE))
    for request, answer in zip(requests, together, strict=True):
        alone = answered(request)
        assert ids(answer) == ids(alone)
        assert answer.imputed_query == alone.imputed_query
        np.testing.assert_allclose([i.score for i in answer.items], [i.score for i in alone.items], rtol=1e-4)
        assert [i.heads for i in answer.items] == [i.heads for i in alone.items]


# --- retrieval through an index -----------------------------------------------------------------------------------


class Truncated(Index):
    """Exact, but looks at some items only and fills up with NaN at position 0, as ScaNN does."""

    def __init__(self, seen: np.ndarray) -> None:
        self.seen, self.asked = seen, []

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        self.asked.append(k)
        scores = queries @ VECTORS[self.seen].T
        order = np.argsort(-scores, axis=1)[:, :k]
        short = ((0, 0), (0, k - order.shape[1]))
        values = np.pad(np.take_along_axis(scores, order, 1), short, constant_values=np.nan)
        return np.pad(self.seen[order], short), values


def retrieve(index: Index | None, request: Request) -> list[int]:
    return Retriever(RELEASE, index)(np.float32([vector(request.query)]), [RequestRule(RELEASE, request)])[0].tolist()


requests = st.builds(
    lambda source, liked, days, limit, task: Request(
        "u",
        task,
        query=QUERY,
        source_item_id=f"i{source}",
        timestamp=START + days * DAY,
        limit=limit,
        history=events(*((f"i{n}", "rating", "home_feed", START - 1, 5.0) for n in sorted(liked))),
    ),
    st.integers(0, ITEMS + 3),
    st.sets(st.integers(0, ITEMS + 3), max_size=ITEMS),
    st.integers(0, 12),
    st.integers(0, ITEMS + 5),
    st.sampled_from(["home_feed", "search"]),
)


@hypothesis.given(requests, st.sets(st.integers(0, ITEMS - 1), min_size=1))
def test_no_index_is_so_poor_that_candidates_are_missing(request, seen):
    banned = {request.source_item_id}
    if request.task == "home_feed":
        banned |= set(request.history.item_id)
    wanted = max(CANDIDATES[request.task], request.limit)
    right = [i for i, _ in reversed(expected(QUERY, wanted, ITEMS, sorted(banned), request.timestamp))]
    exact = [IDS[p] for p in retrieve(None, request)]
    assert exact == right
    poor = [IDS[p] for p in retrieve(Truncated(np.array(sorted(seen))), request)]
    assert len(poor) == len(set(poor)) == len(right)
    assert not set(poor) & banned
    assert set(poor) <= {IDS[p] for p in seen} or poor == right


@hypothesis.given(requests)
def test_a_whole_index_gives_what_exact_search_gives(request):
    assert retrieve(ExactSearch(VECTORS), request) == retrieve(None, request)


def test_index_is_asked_for_as_many_more_as_may_not_answer():
    history = events(*((i, "rating", "home_feed", START - 1, 5.0) for i in BEST[:3]))
    request = Request("u", "home_feed", query=QUERY, source_item_id=BEST[3], timestamp=START + 8 * DAY, history=history)
    index = Truncated(np.arange(ITEMS))
    found = retrieve(index, request)
    # Three liked, the source, two created later, and one at that very moment.
    assert index.asked == [CANDIDATES["home_feed"] + 4 + 3]
    assert not {IDS[p] for p in found} & set(BEST[:4])


def test_enough_from_the_index_is_taken_as_it_is():
    seen = np.setdiff1d(np.arange(ITEMS), [int(BEST[0][1:])])
    found = retrieve(Truncated(seen), Request("u", "search", query=QUERY))
    assert IDS[found[0]] == BEST[1], "an approximate index is allowed to miss the best item"
    assert len(found) == CANDIDATES["search"]


def test_nothing_is_asked_of_an_index_for_most_of_the_catalogue():
    index = Truncated(np.arange(ITEMS))
    assert len(retrieve(index, Request("u", "search", query=QUERY, limit=ITEMS))) == ITEMS
    assert index.asked == []


def test_ties_go_to_the_lower_position():
    same = replace(RELEASE, vectors=np.ones((ITEMS, 3), np.float32))
    rule = RequestRule(same, Request("u", "search", source_item_id="i2"))
    found = Retriever(same)(np.ones((1, 3), np.float32), [rule])
    assert found[0].tolist() == [0, 1, 3, 4, 5, 6]


def test_scann_that_searches_too_few_leaves_is_made_up_for(tmp_path):
    import unified_ranker.towers.tensorflow  # noqa: F401  # chooses Keras 2 before scann imports TensorFlow
    from unified_ranker.release.index import build_index, load_index
    from unified_ranker.release.indexes.scann import ScannIndex

    many = np.random.default_rng(1).normal(size=(400, 3)).astype(np.float32)
    names = np.array([f"i{n}" for n in range(400)], object)
    undated = np.full(400, NEVER)
    release = replace(RELEASE, item_ids=names, vectors=many, created_at=undated, offers=Offers.everywhere(400))
    declared = ScannIndex(type="scann", leaves=40, leaves_to_search=1, reorder=20)
    build_index(tmp_path, names, many, declared)
    request = Request("u", "search", query=QUERY, limit=100)
    query = np.float32([vector(QUERY)])
    found = Retriever(release, load_index(tmp_path, many))(query, [RequestRule(release, request)])[0]
    assert found.tolist() == np.argsort(-(many @ query[0]))[:100].tolist()


# --- what the service costs to import -----------------------------------------------------------------------------


def test_service_needs_no_tensorflow():
    program = "import sys, unified_ranker.serving.service.ranking_service; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
