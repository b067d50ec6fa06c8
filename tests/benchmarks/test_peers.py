"""The comparison with other libraries: what they are given, how long they train, and how their scores are ranked."""

import importlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from log_by_rows import at, event, item, task, world

from unified_ranker.config import SplitShares
from unified_ranker.evaluation.engagements import Engagements
from unified_ranker.evaluation.protocol import evaluate
from unified_ranker.prepare.split_times import split_times

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
MODULES = ("exchange", "known_items", "train_within", "peer_protocol", "peer_projects", "peer_table")
ITEMS = [item(f"i{n:02}") for n in range(12)]
TASKS = {"home_feed": task(exclude_engaged=True), "more_like_this": task(), "search": task()}


@pytest.fixture(scope="module")
def code():
    """The modules of the benchmark by name; the libraries' import one another as files of one directory."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        patch.syspath_prepend(BENCHMARKS / "peer_libraries")
        yield SimpleNamespace(**{name: importlib.import_module(name) for name in MODULES})


@pytest.fixture(scope="module")
def log():
    """Acts of 5 users, each a positive of two surfaces; from hour 40 on they validate, from hour 60 on they test."""
    events = []
    for n in range(80):
        user, place = n % 5, n * 7 % 12
        act = (f"u{user}", f"i{place:02}", n)
        events += [event(*act), event(*act, "more_like_this", source_item_id=f"i{(place + 1 + user) % 12:02}")]
    events += [event(None, "i03", 5), event("u1", "i04", 30, "search", query="words")]
    return world(events, ITEMS, TASKS, split=(40, 60), bootstrap_samples=100)


@pytest.fixture
def folder(code, log, tmp_path):
    made = importlib.import_module("peer_libraries.exchange").Folder(tmp_path)
    code.peer_protocol.write_folder(made, *log, minutes=1.0, threads=2)
    return made


def test_a_library_learns_each_act_of_the_fit_window_once(folder):
    given = folder.interactions
    assert len(given.user) == 60 + 1, "an act on two surfaces, and the one with a query; none that is anonymous"
    assert given.time.max() < at(60)
    assert np.all(np.diff(given.time) >= 0)


def test_surfaces_with_a_query_are_left_out(code, log):
    assert code.peer_protocol.tasks_of(*log) == ["home_feed", "more_like_this"]


def test_requests_have_the_history_strictly_before_them_and_tests_hide_their_targets(code, folder, log):
    prepared, config = log
    for part in ("validation", "test"):
        asked = code.peer_protocol.requests_of(prepared, config, "home_feed", part)
        given = folder.requests(part)["home_feed"]
        assert len(given) == 20
        assert np.array_equal(given.target, asked.item if part == "validation" else np.full(20, -1))
        earlier = Engagements(prepared.examples, len(prepared.users), len(prepared.items))
        for row in range(20):
            expected = earlier.before(int(asked.user[row]), int(asked.timestamp[row]))[0]
            assert set(given.past(row)) == set(expected)
            assert len(given.past(row)) == len(set(zip(expected, earlier.before(
                int(asked.user[row]), int(asked.timestamp[row]))[1], strict=True)))  # fmt: skip


def test_a_source_item_is_the_last_event_once(code):
    requests = code.exchange.Requests(
        user=np.zeros(3, int),
        source=np.array([5, 2, -1]),
        target=np.full(3, -1),
        history=np.array([1, 2, 1, 2, 7]),
        offsets=np.array([0, 2, 4, 5]),
    )
    assert [requests.events(row).tolist() for row in range(3)] == [[1, 2, 5], [1, 2], [7]]
    assert [requests.take(1, 3).events(row).tolist() for row in range(2)] == [[1, 2], [7]]


def test_scores_are_ranked_by_our_protocol_and_popularity_answers_for_unknown_users(code, folder, log):
    prepared, config = log
    targets = {t: code.peer_protocol.requests_of(prepared, config, t, "test").item for t in folder.requests("test")}
    for name, target in targets.items():
        scores = np.zeros((len(target), len(prepared.items)), np.float32)
        scores[np.arange(len(target)), target] = 1
        scores[:4] = np.nan
        np.save(folder.scores_file(name), scores)

    scorer = code.peer_protocol.peer_scorer("peer", folder, prepared, config)
    found = evaluate([scorer], prepared, config, list(targets))

    assert scorer.without == {"home_feed": 4, "more_like_this": 4}
    # In `home_feed` items engaged with before are no candidates, whatever their scores.
    missed = {t.task: sum(t.unreachable.values()) for t in found.tasks}
    assert missed["home_feed"] > 0
    assert missed["more_like_this"] == 0
    best = next(t for t in found.tasks if t.task == "more_like_this").overall.rows[0].metrics["mrr"].value
    popular = code.peer_protocol.peer_scorer("popular", folder, prepared, config).popular["more_like_this"]
    assert popular.sum() == 60
    assert 16 / 20 < best < 1


def test_scores_for_other_requests_are_refused(code, folder, log):
    prepared, config = log
    scorer = code.peer_protocol.peer_scorer("peer", folder, prepared, config)
    asked = code.peer_protocol.requests_of(prepared, config, "home_feed", "validation")
    with pytest.raises(ValueError, match="other requests"):
        scorer.score(asked.take(np.arange(1, 5)))


class Clock:
    """Time that passes only where a test lets it."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        return self.now

    def process_time(self):
        """Both of the threads that `folder` gives are busy all of the time."""
        return 2 * self.now


class Learner:
    """A model whose scores are right for the share `quality(epochs)` of the requests; an epoch takes a second."""

    events = 10

    def __init__(self, clock, quality):
        self._clock, self._quality, self.epochs = clock, quality, 0

    def learn(self):
        self.epochs += 1
        self._clock.now += 1

    def score(self, requests):
        scores = np.zeros((len(requests), 12), np.float32)
        right = round(self._quality(self.epochs) * len(requests))
        scores[np.arange(right), requests.target[:right]] = 1
        return scores


@pytest.fixture
def clock(code, monkeypatch):
    made = Clock()
    monkeypatch.setattr(code.train_within, "time", made)
    return made


def test_the_model_that_answers_has_the_passes_that_were_best_on_the_validation_slice(code, folder, clock):
    makes = []

    def make(interactions):
        makes.append((len(interactions.item), Learner(clock, lambda epochs: 1 - abs(epochs - 3) / 10)))
        return makes[-1][1]

    learner, found = code.train_within.train_within(make, code.exchange.Folder(folder.path))

    assert (learner.epochs, found["epochs_found"], found["ended"]) == (3, 3, "no gain")
    assert [size for size, _ in makes] == [41, 61], "the validation slice is learnt from by the second model only"
    least = code.train_within.LEAST_SHARE * code.exchange.Folder(folder.path).about.seconds * 41 / (41 + 61)
    assert makes[0][1].epochs == max(3 + code.train_within.PATIENCE, np.ceil(least))
    assert found["events_per_second"] == 10


def test_a_fast_model_is_given_time_to_begin(code, folder, clock, monkeypatch):
    """BPR ranks no better than chance for its first epochs, which take milliseconds."""
    monkeypatch.setattr(code.exchange.Folder, "about", code.exchange.About(**vars(folder.about) | {"seconds": 150}))
    learner, found = code.train_within.train_within(
        lambda _: Learner(clock, lambda epochs: 0.1 if epochs < 10 else 0.9), code.exchange.Folder(folder.path)
    )
    assert (learner.epochs, found["ended"]) == (10, "no gain")


@pytest.mark.parametrize("seconds", [10, 60])
def test_training_keeps_to_its_time(code, folder, clock, monkeypatch, seconds):
    about = code.exchange.About(**vars(folder.about) | {"seconds": seconds})
    monkeypatch.setattr(code.exchange.Folder, "about", about)
    learner, found = code.train_within.train_within(
        lambda _: Learner(clock, lambda epochs: epochs / 25), code.exchange.Folder(folder.path)
    )
    assert found["ended"] == "minutes"
    assert learner.epochs == found["epochs_found"]
    assert -2 < learner.epochs - seconds * 41 / (41 + 61) <= 0, "as many epochs fit over the whole window, too"
    assert clock.now <= seconds


def test_candidates_while_passes_are_found_leave_out_source_and_perhaps_history(code):
    requests = code.exchange.Requests(
        user=np.zeros(2, int),
        source=np.array([3, -1]),
        target=np.zeros(2, int),
        history=np.array([1, 2]),
        offsets=np.array([0, 1, 2]),
    )
    assert code.train_within.candidates(requests, 4, exclude=False).tolist() == [[1, 1, 1, 0], [1, 1, 1, 1]]
    assert code.train_within.candidates(requests, 4, exclude=True).tolist() == [[1, 0, 1, 0], [1, 1, 0, 1]]


def test_items_that_a_library_does_not_know_have_no_score(code):
    items = code.known_items.KnownItems(np.array([4, 1, 4]), 5)
    assert items.number(np.array([1, 4, 2, -1])).tolist() == [0, 1, -1, -1]
    scores = items.of_catalogue(np.array([[0.5, 0.7], [np.nan, 1]], np.float32))
    assert scores[0] == pytest.approx([-np.inf, 0.5, -np.inf, -np.inf, 0.7])
    assert np.isnan(scores[1]).all()


def test_leave_one_out_tests_the_last_event_of_each_user(code, tmp_path):
    random = np.random.default_rng(0)
    sizes = random.integers(3, 9, 40)
    days = [day for size in sizes for day in range(size)]
    users = np.repeat([f"u{n}" for n in range(40)], sizes)
    rows = {"user_id": users, "item_id": "i", "task": "home_feed", "event_type": "like"}
    events = pd.DataFrame(rows | {"timestamp": pd.to_datetime(days, unit="D", utc=True), "order": days})
    events.sample(frac=1, random_state=0).to_parquet(tmp_path / "events.parquet")

    train, validation = code.peer_projects.leave_one_out(tmp_path, tmp_path / "out")

    placed = pd.read_parquet(tmp_path / "out" / "events.parquet")
    seconds = placed["timestamp"].astype("datetime64[s, UTC]").astype("int64").to_numpy()
    shares = SplitShares(train=train, validation=validation)
    split = split_times([np.sort(seconds)], SimpleNamespace(project=SimpleNamespace(split=shares)))
    from_end = placed.groupby("user_id")["order"].transform("max") - placed["order"]
    assert np.array_equal(from_end == 0, seconds >= split.validation_end)
    assert np.array_equal(from_end >= 2, seconds < split.train_end)
    assert (placed.sort_values(["user_id", "timestamp"]).groupby("user_id")["order"].diff().dropna() == 1).all()


def test_the_table_has_a_dash_where_a_model_cannot_do_a_surface(code):
    trained = {"seconds": 61.2, "events_per_second": 12345, "peak_mib": 2048}
    feed, search = {"ndcg@10": 0.1234, "recall@100": 0.5}, {"ndcg@10": 0.8, "recall@100": 0.9}
    logs = {"movielens": {
        "joint model": {"trained": trained, "tasks": {"home_feed": feed, "search": search}},
        "peer": {"trained": trained, "tasks": {"home_feed": {"ndcg@10": 0.0456, "recall@100": 0.4}}},
    }}  # fmt: skip
    *_, ours, peer = code.peer_table.markdown(logs).splitlines()
    assert "| **.123** (.500) | **.800** (.900) | 61 s | 12,345 | 2.0 GiB |" in ours
    assert peer == "| peer | .0456 (.400) | \u2013 | 61 s | 12,345 | 2.0 GiB |"


def test_tables_replace_what_stands_between_the_marks_of_a_page(code, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- tables -->\n\nold\n\n<!-- end of tables -->\nafter\n", encoding="utf-8")
    found = {"tasks": {"home_feed": {"ndcg@10": 0.5, "recall@100": 1.0, "ndcg@10 of": "newest first"}}}
    for _ in range(2):
        code.peer_table.write_tables(page, {"deskdrop": {"best baseline": found}})
        text = page.read_text(encoding="utf-8")
        assert text.startswith("before\n<!-- tables -->\n\n**deskdrop**\n\n| model |")
        assert text.endswith(
            "| best baseline | **.500** (1.000) newest first |  |  |  |\n\n<!-- end of tables -->\nafter\n"
        )
