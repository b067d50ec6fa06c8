"""One candidate rule: whoever answers a request answers it with the same items and the same scores.

The served graph (`recommend`), evaluation (`CandidateRules` and the order of `JointScorer`), the `Recommender` of this
process and the ranking service are given the same requests over every toy log, and the rule in plain Python says which
items may answer. The model's weights are random, and so are those of its blend: no score can be right by chance.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import grpc
import numpy as np
import pandas as pd
import pytest
import small_project
import tiny_world
import toy_shop
from candidate_oracle import Shown, may_answer, refusal
from random_model import Project, project_of

from unified_ranker.config import Config
from unified_ranker.core.arrays import MISSING
from unified_ranker.core.candidate_rule import Reason
from unified_ranker.core.request import Request, to_arrays
from unified_ranker.evaluation.candidates import CandidateRules
from unified_ranker.evaluation.scoring import JointScorer, RequestEncoder
from unified_ranker.prepare.examples import Examples, seconds
from unified_ranker.prepare.log_history import LogHistory
from unified_ranker.prepare.prepared import fit_end_of
from unified_ranker.prepare.request_arrays import request_arrays
from unified_ranker.release.indexes.exact import ExactSearch
from unified_ranker.serving.answering.model_outputs import proposals
from unified_ranker.serving.answering.opened_release import OpenedRelease
from unified_ranker.serving.answering.recommender import Recommender
from unified_ranker.serving.answering.recommending import Answer
from unified_ranker.serving.client.model_server_error import ModelServerError
from unified_ranker.serving.service.ranking_service import RankingService, UnavailableError, fill_popular
from unified_ranker.tasks.blend import FittedBlend

pytestmark = pytest.mark.xdist_group("tiny_model")
REQUESTS = 60
CANDIDATES, LIMIT = 6, 4
TOLERANCE = 1e-5
"""Of a score, relative to the largest of its request."""
BLENDED_TOLERANCE = 2e-4
"""Of a blended one: a channel that is nearly the same for all candidates has its errors of rounding multiplied."""
COUNTRIES = ("", "DE", "GB", "US")


# --- the logs -----------------------------------------------------------------------------------------------------


def with_offers(items: pd.DataFrame) -> pd.DataFrame:
    """Items of which some are offered in some countries alone, and some not available."""
    offered = [["DE"] if n % 5 == 1 else ["DE", "GB"] if n % 5 == 3 else None for n in range(len(items))]
    return items.assign(countries=offered, available=[n % 7 != 4 for n in range(len(items))])


COUNTED = ("popular", "newest", "neighbours", "ease", "transitions", "query_memory")
"""Signals that the blend alone reads."""


def declared(tree: Mapping[str, Any], counted: Sequence[str] = ()) -> Config:
    """A project's declarations: few candidates, so that retrieval chooses, and a model that is quick to build."""
    serving = {"candidates": CANDIDATES, "limit": LIMIT}
    signals = [
        {"type": "lexical", "candidates": 2},
        {"type": "source_pairs", "candidates": 1},
        {"type": "successions", "window": 2, "candidates": 2},
        {"type": "repeats", "candidates": 2},
        *({"type": kind, "candidates": 2} for kind in counted),
    ]
    return Config.model_validate(
        {
            **tree,
            "tasks": {name: {**task, "serving": serving} for name, task in tree["tasks"].items()},
            "towers": {**tree["towers"], "ranker": {"hidden": 8, "experts": 2, "signals": signals}},
        }
    )


def tiny(counted: Sequence[str]) -> tuple[dict[str, pd.DataFrame], Config]:
    return tiny_world.tables(), declared(tiny_world.config().to_json(), counted)


def small() -> tuple[dict[str, pd.DataFrame], Config]:
    files = small_project.declarations()
    tree: dict[str, Any] = {"project": files["project.yaml"]}
    for part in ("towers", "tasks"):
        tree[part] = {n.split("/")[1].removesuffix(".yaml"): f for n, f in files.items() if n.startswith(part)}
    return small_project.tables(), declared(tree)


def shop() -> tuple[dict[str, pd.DataFrame], Config]:
    events, items, users = toy_shop.shop()
    items["created_at"] = [toy_shop.START + pd.Timedelta(days=3 * n - 20) for n in range(len(items))]
    tasks = {
        "home_feed": {
            "positives": [{"event_type": "rating", "min_value": 4, "head": "like"}],
            "exclude_engaged": True,
            "quality_weights": {"fresh": 0.2},
        },
        "more_like_this": {"positives": [{"event_type": "click"}], "imputation": {"query": "source_item_title"}},
        "search": {"positives": [{"event_type": "click"}], "exclude_engaged": True},
    }
    item = {
        "dim": 8,
        "features": [{"type": "text", "column": "title"}, {"type": "number", "column": "price"}],
        "quality": {"popular": {"type": "popularity"}, "fresh": {"type": "freshness", "scale_days": 20}},
    }
    user = {"history_length": 6, "encoder": {"type": "transformer", "layers": 1, "heads": 2}}
    return {"events": events, "items": items, "users": users}, declared(
        {"project": tiny_world.config().to_json()["project"], "towers": {"item": item, "user": user}, "tasks": tasks}
    )


BLENDED = "blended tiny world"
LOGS = {"small project": small, "toy shop": shop, BLENDED: lambda: tiny(COUNTED)}


@functools.cache
def built(name: str) -> Project:
    tables, config = (LOGS[name])()
    project = project_of(name, {**tables, "items": with_offers(tables["items"])}, config)
    if name == BLENDED:
        blend_at_random(project)
    return project


def blend_at_random(project: Project) -> None:
    """Fit the blend of all tasks but search by chance."""
    blend, rng = project.model.blend, np.random.default_rng(17)
    for number, task in enumerate(project.config.tasks, start=1):
        factors = rng.random(len(blend.channels)).astype(np.float32)
        if task != "search":
            blend.assign({number: FittedBlend(task, 100, 1.0, factors, {})})


@pytest.fixture(scope="module", params=[*LOGS, "random log"])
def project(request, make_log, make_config) -> Project:
    if request.param in LOGS:
        return built(request.param)
    log = make_log(events=600, items=30)
    tables = {"events": log.events, "items": with_offers(log.items), "users": log.users}
    return project_of(request.param, tables, declared(make_config().to_json()))


# --- the requests -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def examples(project) -> Examples:
    """Requests of all kinds: of anybody, with whatever fields, at any time of the log and after it.

    Some are made at the very second when an item came, or when their user did something.
    """
    prepared, rng = project.prepared, np.random.default_rng(3)
    past = prepared.examples.take(np.sort(rng.integers(0, len(prepared.examples), REQUESTS)))
    begin, end = int(past.timestamp[0]), int(prepared.events.timestamp.max())
    some = functools.partial(rng.random, REQUESTS)
    user = np.where(some() < 0.2, MISSING, rng.integers(0, len(prepared.users), REQUESTS))
    time = np.where(some() < 0.4, end + 1, rng.integers(begin, end, REQUESTS))
    born = prepared.created_at[(prepared.created_at > begin) & (prepared.created_at < end)]
    time = np.where(some() < 0.2, rng.choice(born, REQUESTS), time)
    as_it_was = some() < 0.2
    user, time = np.where(as_it_was, past.user, user), np.where(as_it_was, past.timestamp, time)
    task = rng.choice(np.array(list(project.config.tasks), object), REQUESTS)
    item = rng.integers(0, len(prepared.items), (2, REQUESTS))
    return dataclasses.replace(
        past,
        user=user,
        task=np.where(as_it_was, past.task, task),
        source_item=np.where(some() < 0.4, MISSING, item[0]),
        query_item=np.where(some() < 0.7, MISSING, item[1]),
        country=rng.choice(np.array(COUNTRIES, object), REQUESTS),
        timestamp=time,
        history_length=prepared.histories.lengths_before(user, time),
    )


@pytest.fixture(scope="module")
def requests(project, examples) -> list[Request]:
    """The same as a client makes them, who sends what a user did at any time, later too."""
    items, users = [*project.prepared.item_ids, ""], [*project.prepared.user_ids, ""]
    histories = LogHistory(project.prepared)
    return [
        Request(
            user_id=users[examples.user[row]],
            task=examples.task[row],
            query=examples.query[row],
            source_item_id=items[examples.source_item[row]],
            query_item_id=items[examples.query_item[row]],
            country=examples.country[row],
            timestamp=int(examples.timestamp[row]),
            history=histories.before(users[examples.user[row]], 0),
        )
        for row in range(len(examples))
    ]


@pytest.fixture(scope="module")
def catalogue(project) -> list[Shown]:
    items = project.prepared.items
    created = seconds(items["created_at"]).tolist()
    times = [None if t == np.iinfo(np.int64).min else t for t in created]
    offered = [tuple(named) if named is not None else () for named in items["countries"]]
    return [Shown(*row) for row in zip(items["item_id"], times, offered, items["available"], strict=True)]


@pytest.fixture(scope="module")
def may(project, requests, catalogue) -> list[set[str]]:
    """Which items may answer each request, by the rule in plain Python."""
    return [may_answer(catalogue, request, project.config.tasks[request.task]) for request in requests]


# --- who answers --------------------------------------------------------------------------------------------------

Answers = list[list[tuple[str, float]]]
"""Items with their scores, best first, by request."""


def of_graph(project: Project, requests: list[Request], limit: int) -> Answers:
    times = np.array([request.timestamp for request in requests])
    uncut = [dataclasses.replace(request, timestamp=0) for request in requests]
    arrays = to_arrays(uncut, max(len(request.history) for request in requests)) | {"timestamp": times}
    out = project.predict("recommend", {**arrays, "limit": np.full(len(requests), limit, np.int32)})
    rows = zip(out["item_ids"].astype(str), out["scores"], strict=True)
    return [[(item, score) for item, score in zip(*row, strict=True) if item] for row in rows]


def of_answers(answers: list[Answer]) -> Answers:
    return [[(item.item_id, item.score) for item in answer.items] for answer in answers]


def of_recommender(project: Project, requests: list[Request], limit: int) -> Answers:
    asked = [dataclasses.replace(request, limit=limit) for request in requests]
    return of_answers(list(Recommender(project.release, predict=project.predict).answer(asked)))


def service_of(project: Project, model: Any = None) -> RankingService:
    release = OpenedRelease.open(project.release)
    return RankingService(release, ExactSearch(release.vectors), model or project, deadline=60)


def of_service(project: Project, requests: list[Request], limit: int) -> Answers:
    service = service_of(project)
    made = [service.recommend(dataclasses.replace(request, limit=limit)) for request in requests]
    assert {one.degraded for one in made} == {None}
    return of_answers([one.answer for one in made])


SERVED = {"graph": of_graph, "recommender": of_recommender, "service": of_service}


@pytest.fixture(scope="module")
def everything(project, requests) -> dict[str, Answers]:
    """What each of them answers when it is asked for the whole catalogue."""
    return {name: answer(project, requests, len(project.prepared.items)) for name, answer in SERVED.items()}


def test_requests_meet_every_reason_and_every_reason_meets_what_signals_propose(project, requests, catalogue):
    """Else the tests below could hold of a rule that lacks one."""
    by_id = {item.item_id: item for item in catalogue}
    encoded = project.predict("encode", to_arrays(requests, project.config.towers.events_read))
    release, met, reasons = OpenedRelease.open(project.release), set(), set()
    proposed = proposals(release, encoded, len(requests))
    for row, request in enumerate(requests):
        task = project.config.tasks[request.task]
        met |= {refusal(item, request, task) for item in catalogue}
        names = release.ids_at(proposed[row])
        reasons |= {refusal(by_id[name], request, task) for name in names}
    wanted = {"", *(reason.value for reason in Reason)} - {Reason.UNKNOWN.value}
    assert met == wanted
    # In the other logs few items come late, and none of them may be proposed.
    rare = set() if project.release.parent.name == "toy shop" else {Reason.LATE.value}
    assert reasons | rare == wanted


@pytest.mark.parametrize("name", SERVED)
def test_asked_for_everything_each_answers_with_all_that_may_and_no_more(everything, may, name):
    for row, answer in enumerate(everything[name]):
        ids = [item for item, _ in answer]
        assert len(ids) == len(set(ids))
        assert set(ids) == may[row]


def test_evaluation_lets_those_answer_that_may(project, examples, may):
    mask = CandidateRules(project.prepared, project.config).allowed(examples)
    for row, allowed in enumerate(mask):
        assert set(project.prepared.item_ids[allowed]) == may[row]


@pytest.fixture(scope="module")
def tolerance(project) -> Callable[..., float]:
    """What equal scores may differ by."""
    share = BLENDED_TOLERANCE if project.model.blend.fitted.numpy().any() else TOLERANCE
    return lambda scores: share * float(np.abs(scores).max(initial=1.0))


def test_all_give_the_same_scores(everything, tolerance):
    graph = [dict(answer) for answer in everything["graph"]]
    for answers in everything.values():
        for row, answer in enumerate(answers):
            scores = np.array([score for _, score in answer])
            assert (np.diff(scores) <= tolerance(scores)).all()
            right = [graph[row][item] for item, _ in answer]
            np.testing.assert_allclose(scores, right, atol=tolerance(right), rtol=0)


def test_the_best_of_each_are_the_same(project, examples, requests, tolerance):
    """By their scores: items of the same content may stand for each other."""
    # As many as there are candidates, so that those are the same: a blended score depends on them.
    scores_of = [dict(answer) for answer in of_graph(project, requests, CANDIDATES)]
    answers = {name: answer(project, requests, LIMIT) for name, answer in SERVED.items()}
    rules = CandidateRules(project.prepared, project.config)
    encoder = RequestEncoder(project.model, project.prepared, project.quality)
    joint = np.where(rules.allowed(examples), JointScorer(encoder, rules).score(examples), -np.inf)
    answers["evaluation"] = []
    for row in joint:
        best = np.argsort(-row, kind="stable")[:LIMIT]
        best = best[np.isfinite(row[best])]
        answers["evaluation"].append([(project.prepared.item_ids[n], row[n] - row[best[0]]) for n in best])
    for row, ranked in enumerate(answers["graph"]):
        right = np.array([score for _, score in ranked])
        for name, given in answers.items():
            first = right[:1] if name == "evaluation" else 0
            own = np.array([score for _, score in given[row]]) + first
            known = [scores_of[row][item] for item, _ in given[row]]
            np.testing.assert_allclose(own, right, atol=tolerance(right), rtol=0, err_msg=name)
            np.testing.assert_allclose(own, known, atol=tolerance(right), rtol=0, err_msg=name)


def test_graph_rank_and_evaluation_blend_the_same_candidates_to_the_same_scores():
    """Also the candidates: what signals propose beside retrieval, among those that may answer."""
    project = built(BLENDED)
    rows = project.prepared.between(fit_end_of(project.prepared, project.config), None).take(np.arange(60))
    rules = CandidateRules(project.prepared, project.config)
    encoder = RequestEncoder(project.model, project.prepared, project.quality)
    arrays = request_arrays(rows, project.prepared, 1000)
    limit = np.full(len(rows), CANDIDATES, np.int32)
    answered = project.predict("recommend", {**arrays, "limit": limit})
    alike, begin = 0, 0
    for chunk in encoder.chunks(rows):
        part = slice(begin, begin := begin + len(chunk.time))
        own, allowed = rows.take(np.arange(len(rows))[part]), rules.allowed(rows.take(np.arange(len(rows))[part]))
        for task in np.unique(own.task):
            of_task = np.flatnonzero(own.task == task)
            ranked = encoder.candidate_ranker.rank(chunk, of_task, task, allowed)
            ids = np.where(ranked.present, project.prepared.item_ids[ranked.items], "").astype(object)
            place = np.arange(len(rows))[part][of_task]
            inputs = {name: column[place] for name, column in arrays.items()}
            found = project.predict("rank", {**inputs, "candidate_ids": ids})
            np.testing.assert_allclose(
                found["score"][ranked.present], ranked.scores[ranked.present], atol=TOLERANCE, rtol=TOLERANCE
            )
            for row, names, scores, there in zip(place, ids, ranked.scores, ranked.present, strict=True):
                given = answered["item_ids"][row].astype(str)
                right = np.sort(scores[there])[::-1]
                np.testing.assert_allclose(answered["scores"][row][given != ""], right, atol=TOLERANCE, rtol=TOLERANCE)
                alike += set(given) - {""} == set(names) - {""}
    # Items of the same content may stand for each other.
    assert alike > 0.9 * len(rows)


# --- the rungs of the ladder --------------------------------------------------------------------------------------


class Failing:
    """The model, of which signatures can be taken away."""

    def __init__(self, project: Project) -> None:
        self.gone: set[str] = set()
        self._project = project

    def predict(self, signature, inputs, timeout=None):
        if signature in self.gone:
            raise ModelServerError(grpc.StatusCode.UNAVAILABLE, "gone", "host:1", "toy", signature)
        return self._project.predict(signature, inputs)


@pytest.mark.parametrize(("gone", "rung"), [("rank_encoded", "two_tower"), ("encode", "popular"), ("encode", "cached")])
def test_no_rung_answers_with_what_may_not(project, requests, may, gone, rung):
    model = Failing(project)
    service = service_of(project, model)
    engine = service.engines["stable"]
    fill_popular(service, engine, engine.release.offers.countries)
    if rung == "cached":
        # The same questions have been asked by nobody, after the end of the log, when all items were there.
        latest = max(request.timestamp for request in requests)
        for request in requests:
            blank = dataclasses.replace(request, user_id="", query_item_id="", timestamp=latest, limit=50)
            service.recommend(dataclasses.replace(blank, history=request.history.take(slice(0))))
    model.gone = {gone}
    rungs = set()
    for row, request in enumerate(requests):
        engine.breaker.succeeded()
        try:
            made = service.recommend(dataclasses.replace(request, limit=50))
        except UnavailableError:
            assert gone == "encode"
            continue
        rungs.add(made.degraded)
        assert {item.item_id for item in made.answer.items} <= may[row], made.degraded
    assert rung in rungs
