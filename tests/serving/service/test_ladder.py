"""The rungs of the ladder, the circuit breaker, what is counted, and the spans of a request."""

from dataclasses import replace

import grpc
import numpy as np
import pytest
from service_toy import CANDIDATES, ITEMS, LATE, LIMITS, RELEASE, START, VECTORS, ToyModel, events, expected, service

from unified_ranker.core.offers import Offers
from unified_ranker.core.request import Request
from unified_ranker.events.base import StoreError
from unified_ranker.release.indexes.base import Index
from unified_ranker.serving.answering.recommending import Answered
from unified_ranker.serving.client.model_server_error import ModelServerError
from unified_ranker.serving.retrieval.overlay import LiveItem
from unified_ranker.serving.service import telemetry as tracing
from unified_ranker.serving.service.breaker import Breaker
from unified_ranker.serving.service.fallback import Fallbacks
from unified_ranker.serving.service.ranking_service import UnavailableError, fill_popular

QUERY = "0.5,-1,2"
REQUEST = Request("u", "search", query=QUERY)
LATE_ITEM = f"i{LATE.start}"


class Switched(ToyModel):
    """A model server of which signatures can be taken away."""

    def __init__(self):
        super().__init__()
        self.gone = set()

    def predict(self, signature, inputs, timeout=None):
        if signature in self.gone:
            self.calls.append((signature, timeout))
            raise ModelServerError(grpc.StatusCode.UNAVAILABLE, "gone", "host:1", "toy", signature)
        return super().predict(signature, inputs, timeout)


def test_rungs_are_taken_in_their_order():
    model = Switched()
    ranker = service(model)
    fill_popular(ranker, ranker.engines["stable"])
    full = ranker.recommend(REQUEST)
    assert full.degraded is None

    model.gone = {"rank_encoded"}
    ranked = ranker.recommend(REQUEST)
    assert ranked.degraded == "two_tower"
    best = [i for i, _ in reversed(expected(QUERY, CANDIDATES["search"], CANDIDATES["search"]))]
    assert [i.item_id for i in ranked.answer.items] == best[: LIMITS["search"]]

    model.gone = {"encode"}
    cached = ranker.recommend(replace(REQUEST, user_id="another"))
    assert (cached.degraded, cached.answer.items) == ("cached", full.answer.items)
    popular = ranker.recommend(replace(REQUEST, query="9,9,9"))
    assert popular.degraded == "popular"
    assert len(popular.answer.items) == LIMITS["search"]
    text = ranker.metrics.text().decode()
    for rung in ("full", "two_tower", "cached", "popular"):
        assert f'unified_ranker_answers_total{{label="stable",release="7",rung="{rung}",task="search"}} 1.0' in text


def test_kept_answers_leave_out_what_may_not_answer_this_request():
    kept, item = Fallbacks(), lambda name: Answered(name, "", 0.0, 0.0, {})
    kept.remember_popular("home_feed", "", (item("i1"), item("i2"), item("i3"), item("gone")))
    history = events(("i1", "rating", "home_feed", 5, 5.0))
    request = Request("u", "home_feed", source_item_id="i2", history=history)
    rung, items = kept.answer(request, RELEASE)
    assert rung == "popular"
    assert [i.item_id for i in items] == ["i3"], "engaged with, the source item, and no item of the catalogue"
    assert kept.answer(replace(request, task="search"), RELEASE) is None


def kept_answers(**by_country):
    kept = Fallbacks()
    for country, names in by_country.items():
        items = tuple(Answered(name, "", 0.0, 0.0, {}) for name in names)
        kept.remember_popular("search", "" if country == "anywhere" else country, items)
    return kept


def test_an_answer_that_makes_room_for_another_is_counted():
    ranker = service()
    kept = ranker.engines["stable"].fallbacks
    kept._most = 2
    for number in range(5):
        ranker.recommend(replace(REQUEST, query=f"{number},1,1"))
    assert 'unified_ranker_cache_evictions_total{cache="answers"} 3.0' in ranker.metrics.text().decode()
    assert kept.answer(replace(REQUEST, query="1,1,1"), RELEASE) is None
    assert kept.answer(replace(REQUEST, query="4,1,1"), RELEASE) is not None


def test_popular_items_of_a_country_come_before_those_of_none():
    kept = kept_answers(DE=["i1", "i2"], anywhere=["i3", "i4"])

    def given(country):
        rung, items = kept.answer(replace(REQUEST, country=country, source_item_id="i2"), RELEASE)
        assert rung == "popular"
        return [item.item_id for item in items]

    assert given("DE") == ["i1"]
    assert given("FR") == given("") == ["i3", "i4"]


def test_where_none_of_the_country_may_answer_those_of_none_do():
    kept = kept_answers(DE=["i1"], anywhere=["i1", "i3"])
    rung, items = kept.answer(replace(REQUEST, country="DE", source_item_id="i1"), RELEASE)
    assert (rung, [item.item_id for item in items]) == ("popular", ["i3"])


@pytest.mark.parametrize(
    ("item", "change"),
    [
        ("i1", None),
        ("i1", LiveItem("i1", VECTORS[1], available=False)),
        ("i1", LiveItem("i1", VECTORS[1], countries=("FR",))),
        ("i1", LiveItem("i1", VECTORS[1], created_at=START + 1)),
        (LATE_ITEM, "late"),
        ("i2", "hidden"),
        ("i3", "foreign"),
    ],
    ids=["taken out", "put out of sight", "moved abroad", "put in later", "late", "hidden", "foreign"],
)
@pytest.mark.parametrize("rung", ["cached", "popular"])
def test_kept_answers_pass_the_whole_candidate_rule(rung, item, change):
    """As of the request, and of the catalogue as it is now."""
    available, countries = np.arange(ITEMS) != 2, [("FR",) if n == 3 else () for n in range(ITEMS)]
    release = replace(RELEASE, offers=Offers.of(available, countries))
    if not isinstance(change, str):
        release = release.with_changes({item: change})
    kept = kept_answers(DE=[item, "i9"])
    request = replace(REQUEST, country="DE", timestamp=START)
    if rung == "cached":
        kept.remember(request, tuple(Answered(name, "", 0.0, 0.0, {}) for name in (item, "i8")))
    found, items = kept.answer(request, release)
    assert (found, [i.item_id for i in items]) == (rung, ["i8" if rung == "cached" else "i9"])


def test_store_that_is_gone_costs_the_history_and_no_more():
    class Gone:
        def before(self, user_id, timestamp):
            raise StoreError("Redis does not answer")

    made = service(histories=Gone()).recommend(REQUEST, look_up_history=True)
    assert made.degraded == "no_history"
    assert [i.item_id for i in made.answer.items] == [i for i, _ in expected(QUERY, 6, LIMITS["search"])]


def test_index_that_fails_is_made_up_for_by_exact_search_and_counted():
    class Broken(Index):
        def search(self, queries, k):
            raise RuntimeError("INTERNAL: corrupt")

    ranker = service()
    engine = ranker.engines["stable"]
    from unified_ranker.serving.service.served_release import parts_of

    engine.parts = parts_of(RELEASE, Broken())
    made = ranker.recommend(REQUEST)
    assert [i.item_id for i in made.answer.items] == [i for i, _ in expected(QUERY, 6, LIMITS["search"])]
    assert 'unified_ranker_errors_total{reason="RuntimeError",stage="retrieve"} 1.0' in ranker.metrics.text().decode()


def test_breaker_spares_requests_the_wait_and_probes_once_a_second():
    now = [0.0]
    breaker = Breaker(failures=3, seconds=1.0, clock=lambda: now[0])
    for _ in range(3):
        assert breaker.allows()
        breaker.failed()
    assert not breaker.allows()
    now[0] = 1.1
    assert [breaker.allows() for _ in range(3)] == [True, False, False], "one probes"
    breaker.failed()
    assert not breaker.allows()
    now[0] = 2.2
    assert breaker.allows()
    breaker.succeeded()
    assert all(breaker.allows() for _ in range(5))


def test_after_five_failures_the_model_server_is_not_asked():
    model = Switched()
    model.gone = {"encode"}
    ranker = service(model)
    for _ in range(8):
        with pytest.raises(UnavailableError):
            ranker.recommend(REQUEST)
    assert len(model.calls) == 5


def test_what_is_known_of_a_request_is_counted():
    ranker = service()
    ranker.recommend(replace(REQUEST, source_item_id="i1", history=events(("i2", "click", "search", 5, 0.0))))
    ranker.recommend(replace(REQUEST, source_item_id="nowhere"))
    text = ranker.metrics.text().decode()
    for line in (
        'unified_ranker_users_total{known="yes",task="search"} 1.0',
        'unified_ranker_users_total{known="no",task="search"} 1.0',
        'unified_ranker_source_items_total{known="yes"} 1.0',
        'unified_ranker_source_items_total{known="no"} 1.0',
        'unified_ranker_stage_seconds_count{stage="encode",task="search"} 2.0',
        'unified_ranker_head_probability_count{head="like",task="search"} 2.0',
        'unified_ranker_retrieval_score_count{task="search"} 2.0',
    ):
        assert line in text
    nothing = service(release=replace(RELEASE, created_at=np.full(len(RELEASE.item_ids), 2**40)))
    assert nothing.recommend(REQUEST).answer.items == ()
    assert 'unified_ranker_empty_answers_total{task="search"} 1.0' in nothing.metrics.text().decode()


def test_stages_are_spans_where_they_are_wanted():
    sdk = pytest.importorskip("opentelemetry.sdk.trace")
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    kept, provider = InMemorySpanExporter(), sdk.TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    tracing.trace_with(provider)
    try:
        service().recommend(REQUEST)
    finally:
        tracing.trace_with(None)
    assert [span.name for span in kept.get_finished_spans()] == ["encode", "retrieve", "rank"]
    service().recommend(REQUEST)
    assert len(kept.get_finished_spans()) == 3
