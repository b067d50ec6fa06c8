"""Evaluation, `Recommender` and service know the same popularity as of the same moment.

A release is made from a part of the log. What comes after that part is reported to the service while it runs.
"""

import dataclasses

import numpy as np
import pytest
import tiny_world
from random_model import Project, project_of

from unified_ranker.core.event import Event
from unified_ranker.core.request import Request
from unified_ranker.core.times import DAY, HOUR
from unified_ranker.evaluation.candidates import CandidateRules
from unified_ranker.evaluation.scoring import JointScorer, RequestEncoder
from unified_ranker.events.base import LoggedEvent
from unified_ranker.events.lmdb_histories import LmdbStore
from unified_ranker.model.catalogue import quality_of
from unified_ranker.prepare.examples import EventColumns, Examples
from unified_ranker.prepare.log_history import LogHistory
from unified_ranker.prepare.prepared import fit_end_of
from unified_ranker.prepare.quality import QualityAsOf
from unified_ranker.release.counts import StoredCounts
from unified_ranker.release.indexes.exact import ExactSearch
from unified_ranker.serving.answering.opened_release import OpenedRelease
from unified_ranker.serving.answering.recommending import answer_batch
from unified_ranker.serving.answering.stored_popularity import StoredPopularity
from unified_ranker.serving.retrieval.retriever import Retriever
from unified_ranker.serving.service.counts_follower import CountsFollower
from unified_ranker.serving.service.ranking_service import RankingService

pytestmark = pytest.mark.xdist_group("tiny_model")
CANDIDATES, TOLERANCE = 8, 1e-5
QUALITY = {
    "popularity": {"type": "popularity"},
    "trend": {"type": "popularity", "window_days": 1},
    "hours": {"type": "popularity", "window_days": 0.3},
    "views": {"type": "popularity", "window_days": 2, "event_types": ["view", "click"]},
    "freshness": {"type": "freshness", "scale_days": 5},
}


@pytest.fixture(scope="module")
def project() -> Project:
    tree = tiny_world.config().to_json()
    # Retrieval by an index reads popularity from the stored vectors: it is left to ranker and proposals here.
    tasks = {
        name: {**task, "quality_weights": {}, "serving": {"candidates": CANDIDATES, "limit": CANDIDATES}}
        for name, task in tree["tasks"].items()
    }
    item = {**tree["towers"]["item"], "quality": QUALITY}
    config = type(tiny_world.config()).model_validate(
        {**tree, "tasks": tasks, "towers": {**tree["towers"], "item": item}}
    )
    return project_of("same popularity", tiny_world.tables(), config)


@pytest.fixture(scope="module")
def quality(project) -> QualityAsOf:
    return quality_of(project.prepared, project.config, fit_end_of(project.prepared, project.config))


@pytest.fixture(scope="module")
def requests(project) -> Examples:
    """Recorded ones from behind the fit window."""
    rows = project.prepared.between(fit_end_of(project.prepared, project.config), None)
    return rows.take(np.linspace(0, len(rows) - 1, 12).astype(int))


def cut(events: EventColumns, end: int) -> EventColumns:
    there = events.timestamp < end
    return EventColumns(**{f.name: getattr(events, f.name)[there] for f in dataclasses.fields(EventColumns)})


def release_until(project: Project, quality: QualityAsOf, end: int, directory) -> OpenedRelease:
    """The project's release as it is if its log ends before a moment."""
    stored = StoredCounts.of(quality, cut(project.prepared.events, end), fit_end_of(project.prepared, project.config))
    opened = OpenedRelease.open(project.release)
    described = stored.write(directory)
    counted = StoredPopularity(directory, described, stored.features, opened.item_ids)
    return dataclasses.replace(opened, popularity=counted)


def request_of(project: Project, examples: Examples, row: int) -> Request:
    prepared = project.prepared
    items, users = [*prepared.item_ids, ""], [*prepared.user_ids, ""]
    user, time = users[examples.user[row]], int(examples.timestamp[row])
    return Request(
        user_id=user,
        task=examples.task[row],
        query=examples.query[row],
        source_item_id=items[examples.source_item[row]],
        query_item_id=items[examples.query_item[row]],
        country=examples.country[row],
        # The graph has a clock of its own.
        timestamp=time,
        history=LogHistory(prepared).before(user, time),
    )


def evaluated(project: Project, quality: QualityAsOf, examples: Examples) -> list[list[tuple[str, float]]]:
    """The ranked candidates of each request, best first, with scores relative to the first."""
    encoder = RequestEncoder(project.model, project.prepared, quality)
    rules = CandidateRules(project.prepared, project.config)
    joint = np.where(rules.allowed(examples), JointScorer(encoder, rules).score(examples), -np.inf)
    out = []
    for row in joint:
        best = np.argsort(-row, kind="stable")[:CANDIDATES]
        out.append([(project.prepared.item_ids[n], row[n] - row[best[0]]) for n in best if np.isfinite(row[n])])
    return out


def assert_same(answer, expected):
    first = answer.items[0].score
    given = {item.item_id: item.score - first for item in answer.items}
    assert given.keys() == {item for item, _ in expected}
    np.testing.assert_allclose([given[i] for i, _ in expected], [s for _, s in expected], atol=TOLERANCE * 10)


def log_of(project: Project) -> list[Event]:
    """The whole log as clients report it."""
    events = project.prepared.events
    table = tiny_world.events_table()
    blank = lambda value: "" if value is None or value != value else str(value)  # noqa: E731
    found = [
        Event(
            user_id=blank(row.user_id),
            item_id=row.item_id,
            task=row.task,
            event_type=row.event_type,
            timestamp=int(row.timestamp.timestamp()),
            value=None if row.value is None or np.isnan(row.value) else float(row.value),
            query=blank(row.query),
        )
        for row in table.itertuples()
    ]
    assert len(found) == len(events.item)
    return found


def test_the_model_reads_it(project, quality, requests):
    """Else the tests below hold of a model that does not care."""
    fit_end = fit_end_of(project.prepared, project.config)
    stale = dataclasses.replace(requests, timestamp=np.full(len(requests), fit_end))
    encoder = RequestEncoder(project.model, project.prepared, quality)
    shares = (quality.gather(requests.item, requests.timestamp) != quality.gather(stale.item, stale.timestamp)).mean(0)
    assert (shares[:4] > 0.3).all()
    now = quality.trending(requests.timestamp, 3)
    assert (now != quality.trending(stale.timestamp, 3)).any()
    assert encoder.model.config.towers.item.popularities.keys() == {"popularity", "trend", "hours", "views"}


@pytest.mark.parametrize("days", [0, 2], ids=["a release of the fit window", "two days later"])
def test_the_service_counts_what_evaluation_counts(project, quality, requests, tmp_path, days):
    """Two services on one store, of which the second starts when all events are there."""
    end = fit_end_of(project.prepared, project.config) + days * DAY + HOUR
    later = requests.take(requests.timestamp > end)
    release, now = release_until(project, quality, end, tmp_path / "counts"), [float(end)]
    release = dataclasses.replace(release, clock=lambda: now[0])
    store, reported = LmdbStore(tmp_path / "store"), 0
    log = log_of(project)
    # The store has the project's log until then, as `serve` imports it: the events of it are not followed.
    known = [event for event in log if event.timestamp < end]
    lines = (LoggedEvent(e.user_id, e.timestamp, e.digest(), e.line()) for e in known if e.user_id)
    store.import_lines(lines, "log")
    services = []
    right = evaluated(project, quality, later)
    for row in range(len(later)):
        now[0] = float(later.timestamp[row])
        new = [e for e in log if end <= e.timestamp < now[0]][reported:]
        # Not in their order, and some are sent again.
        store.append(new[::-1])
        store.append(new[:2])
        reported += len(new)
        if row in (0, len(later) - 1):
            service = RankingService(release, ExactSearch(release.vectors), project, deadline=60)
            services.append((service, CountsFollower(service, store)))
        for service, follower in services:
            follower.look()
            made = service.recommend(request_of(project, later, row))
            assert made.degraded is None
            assert_same(made.answer, right[row])
    assert len(services) == 2
    assert reported > 20
    store.close()


def test_the_recommender_counts_what_evaluation_counts(project, quality, requests, tmp_path):
    """As of each recorded request, from the events of the release's log."""
    end = int(project.prepared.events.timestamp.max()) + 1
    release = release_until(project, quality, end, tmp_path / "counts")
    asked = [request_of(project, requests, row) for row in range(len(requests))]
    answers = answer_batch(release, asked, project.predict, Retriever(release))
    for answer, expected in zip(answers, evaluated(project, quality, requests), strict=True):
        assert_same(answer, expected)


def test_an_item_that_came_since_is_counted_and_proposed(project, quality, tmp_path):
    """And it keeps its count when a rebuild of the index gives it another position."""
    from unified_ranker.serving.retrieval.overlay import LiveItem
    from unified_ranker.serving.retrieval.rebuilding import bake

    end = int(project.prepared.events.timestamp.max()) + 1
    release = dataclasses.replace(
        release_until(project, quality, end, tmp_path / "counts"), clock=lambda: end + 2.0 * HOUR
    )
    service = RankingService(release, ExactSearch(release.vectors), project, deadline=60)
    store = LmdbStore(tmp_path / "store")
    liked = [Event(f"w{n}", "brand new", "search", "click", end + n, query="amber") for n in range(9)]
    store.append(liked)
    CountsFollower(service, store).look()
    counted = service.release
    vector = np.ones(release.vectors.shape[1], np.float32)
    removed = str(release.item_ids[0])
    live = counted.with_changes({"brand new": LiveItem("brand new", vector), removed: None})
    for shown in (live, bake(live)):
        place = shown.positions(["brand new", str(release.item_ids[4]), "elsewhere"])
        numbers = shown.numbers_at(place[:2])
        assert numbers.tolist() == [len(release.item_ids), 4]
        assert shown.positions_of(numbers).tolist() == place[:2].tolist()
        assert shown.positions_of(np.array([0])).tolist() == [-1], "it was removed"
        popular = shown.popularity.of(numbers, np.full(len(numbers), int(shown.clock())))
        assert popular[0, 1] > popular[1, 1]
        first = shown.popularity.trending(np.array([int(shown.clock())]))[0, 2, 0]
        assert shown.ids_at(shown.positions_of(np.array([first]))).tolist() == ["brand new"]
    store.close()
