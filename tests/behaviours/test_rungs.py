"""Every rung of the ladder answers with items that may answer, and no others, whatever has happened to the catalogue.

Items are put, moved abroad, hidden, dated and deleted at random, and the index is rebuilt with the changes, after full
answers were kept. The candidate rule in plain Python then says who may answer each request, on each rung.
"""

from dataclasses import replace

import grpc
import hypothesis
from candidate_oracle import Shown, may_answer
from hypothesis import strategies as st
from service_toy import CONFIG, IDS, NOW, START, ToyModel, created, events, service

from unified_ranker.core.request import NO_HISTORY, Request
from unified_ranker.events.base import StoreError
from unified_ranker.release.indexes.base import Index
from unified_ranker.release.indexes.exact import ExactSearch
from unified_ranker.serving.answering.recommending import Answered
from unified_ranker.serving.client.model_server_error import ModelServerError
from unified_ranker.serving.retrieval.rebuilding import bake
from unified_ranker.serving.service.live_items import LiveItems
from unified_ranker.serving.service.ranking_service import UnavailableError, fill_popular
from unified_ranker.serving.service.served_release import parts_of

EVERYTHING = 500
COUNTRIES = ("DE", "FR")
PAST = events(("i1", "rating", "home_feed", START, 5.0), ("i2", "rating", "home_feed", START, 1.0))
QUERIES = {"home_feed": "0.5,-1,2", "search": "1,2,-0.5"}
REQUESTS = [
    Request("u", task, QUERIES[task], source, query_item, country, time, EVERYTHING, PAST)
    for task in QUERIES
    for source, query_item, country, time in (
        ("", "", "", NOW),
        ("i3", "i4", "DE", NOW),
        ("", "i5", "FR", START + 3 * 86_400),
        ("i6", "", "XX", NOW),
    )
]
KEPT = ("cached", "popular")
"""Rungs whose items were chosen for another request."""


class Faulty(ToyModel):
    """The model, of which signatures can be taken away."""

    gone = frozenset()

    def predict(self, signature, inputs, timeout=None):
        if signature in self.gone:
            raise ModelServerError(grpc.StatusCode.UNAVAILABLE, "gone", "host:1", "toy", signature)
        return super().predict(signature, inputs, timeout)


class Broken(Index):
    def search(self, queries, k):
        raise RuntimeError("INTERNAL: corrupt")


class Gone:
    def before(self, user_id, timestamp):
        raise StoreError("Redis does not answer")


def ask(ranker, rung, request):
    """The answer of a rung, for want of what stands above it."""
    engine = ranker.engines["stable"]
    engine.breaker.succeeded()
    ranking, encoding = {"rank_encoded", "rank_live"}, {"encode"}
    ranker.model.gone = {"two_tower": ranking, "cached": encoding, "popular": encoding}.get(rung, frozenset())
    if rung == "popular":  # nobody asked this before
        request = replace(request, query="9,9,9")
    parts = engine.parts
    if rung == "exact":
        engine.parts = parts_of(parts.release, Broken())
    try:
        made = ranker.recommend(request, look_up_history=rung == "no_history")
    except UnavailableError:
        return None
    finally:
        ranker.model.gone, engine.parts = frozenset(), parts
    assert made.degraded == {"full": None, "exact": None}.get(rung, rung)
    return [item.item_id for item in made.answer.items]


names = st.sampled_from([*map(str, IDS[:12]), *map(str, IDS[-6:]), "new1", "new2"])
fields = st.fixed_dictionaries(
    {"code": st.sampled_from(["3,-1,2", "-1,0,1"]), "title": st.just("changed")},
    optional={
        "available": st.booleans(),
        "countries": st.lists(st.sampled_from(COUNTRIES), max_size=2, unique=True),
        "created_at": st.sampled_from([START, START + 2 * 86_400, NOW - 1, NOW, NOW + 86_400]),
    },
)
operations = st.lists(
    st.one_of(st.tuples(st.just("put"), names, fields), st.tuples(st.just("delete"), names), st.just(("rebuild",))),
    min_size=1,
    max_size=10,
)


@hypothesis.settings(max_examples=40, deadline=None)
@hypothesis.given(operations=operations)
def test_each_answers_with_what_may_and_no_more(operations):
    model = Faulty()
    ranker = service(model, histories=Gone())
    ranker.model = model
    live, engine = LiveItems(ranker), ranker.engines["stable"]
    fill_popular(ranker, engine, COUNTRIES)
    for request in REQUESTS:
        ranker.recommend(replace(request, user_id="", history=NO_HISTORY, query_item_id="", timestamp=NOW))
    catalogue = {str(name): Shown(str(name), created(n)) for n, name in enumerate(IDS)}

    for kind, *arguments in operations:
        if kind == "rebuild":
            engine.parts = parts_of(bake(engine.release), ExactSearch(bake(engine.release).vectors))
        elif kind == "delete":
            live.remove(*arguments)
            catalogue.pop(*arguments, None)
        else:
            name, put = arguments
            live.put(name, put)
            catalogue[name] = Shown(name, put.get("created_at"), put.get("countries", ()), put.get("available", True))

    for request in REQUESTS:
        known, unknown = request, replace(request, history=NO_HISTORY)
        task = CONFIG.tasks[request.task]
        # Kept answers first: a full one takes the place of what was kept before the changes.
        for rung in (*KEPT, "full", "exact", "no_history", "two_tower"):
            may = may_answer(catalogue.values(), unknown if rung == "no_history" else known, task)
            answered = ask(ranker, rung, request)
            if rung not in KEPT:
                assert set(answered) == may, rung
            elif answered is not None:
                assert set(answered) <= may, rung
            assert answered is None or len(answered) == len(set(answered))


def test_a_kept_answer_shows_an_item_as_it_is_now():
    ranker = service()
    live, engine = LiveItems(ranker), ranker.engines["stable"]
    engine.fallbacks.remember(REQUESTS[0], (Answered("i1", "Title 1", 1.0, 1.0, {}), Answered("i7", "", 0.5, 0.5, {})))
    live.put("i7", {"code": "1,1,1", "title": "Renamed"})
    _, items = engine.fallbacks.answer(replace(REQUESTS[0], history=NO_HISTORY), engine.release)
    assert [(item.item_id, item.title) for item in items] == [("i1", "Title 1"), ("i7", "Renamed")]
