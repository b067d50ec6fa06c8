"""The evaluation protocol: what it asks of scorers, and what it makes of their scores."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from log_by_rows import START, at, event, item, task, world

from unified_ranker.config import Positive, Task
from unified_ranker.core.errors import UserError
from unified_ranker.core.progress import listening
from unified_ranker.evaluation.baselines.popularity import PopularityBaseline
from unified_ranker.evaluation.metrics import METRICS
from unified_ranker.evaluation.protocol import evaluate, fit_end
from unified_ranker.evaluation.results import JOINT, Evaluation
from unified_ranker.evaluation.slices import cut

TASKS = {"home_feed": task(), "search": task(derived=True)}
ITEMS = [item(f"i{n:02}") for n in range(20)]


class Scorer:
    """Scores by a function of the requests, and remembers the batches."""

    def __init__(self, name, function, **more):
        self.name, self._function, self.batches = name, function, []
        for key, value in more.items():
            setattr(self, key, value)

    def score(self, requests):
        self.batches.append(requests)
        return self._function(requests)


def perfect(requests, items=20):
    scores = np.zeros((len(requests), items), np.float32)
    scores[np.arange(len(requests)), requests.item] = 1
    return scores


def equal(requests, items=20):
    return np.zeros((len(requests), items), np.float32)


def events(count=40, task="home_feed", start=0, **fields):
    return [event(f"u{n % 7}", f"i{n % 20:02}", start + n, task, **fields) for n in range(count)]


def two_tasks(**settings):
    settings = {"split": (20, 30), "bootstrap_samples": 100} | settings
    return world(events() + events(task="search", query="words"), ITEMS, TASKS, **settings)


def found(evaluation, task="home_feed"):
    return next(t for t in evaluation.tasks if t.task == task)


def metrics(evaluation, scorer, task="home_feed", dimension="all", name="all"):
    part = next(s for s in found(evaluation, task).slices if (s.dimension, s.name) == (dimension, name))
    row = next(r for r in part.rows if r.scorer == scorer)
    return {metric: row.metrics[metric].value for metric in METRICS}


def test_a_perfect_scorer_gets_everything_and_an_equal_one_the_mean_rank():
    prepared, config = two_tasks()
    evaluation = evaluate([Scorer("perfect", perfect), Scorer("equal", equal)], prepared, config)

    for surface in ("home_feed", "search"):
        assert metrics(evaluation, "perfect", surface) == dict.fromkeys(METRICS, 1)
        expected = {"recall@10": 0, "recall@100": 1, "ndcg@10": 0, "mrr": 1 / 10.5}
        assert metrics(evaluation, "equal", surface) == pytest.approx(expected)
    assert [t.derived for t in evaluation.tasks] == [False, True]


def test_parts_are_the_temporal_split():
    prepared, config = two_tasks()
    scorer = Scorer("perfect", perfect)
    test = evaluate([scorer], prepared, config, part="test")
    seen = np.concatenate([batch.timestamp for batch in scorer.batches])

    assert (test.start, test.end) == (at(30), None)
    assert (seen.min(), seen.max(), found(test).requests) == (at(30), at(39), 10)
    scorer.batches.clear()
    validation = evaluate([scorer], prepared, config, part="validation")
    seen = np.concatenate([batch.timestamp for batch in scorer.batches])
    assert (validation.start, validation.end) == (at(20), at(30))
    assert (seen.min(), seen.max(), found(validation).requests) == (at(20), at(29), 10)


def test_an_order_after_a_like_is_no_request_where_the_first_engagement_counts():
    later = [
        event("u", "i01", 35),
        event("u", "i01", 36, event_type="order"),
        event("u", "i02", 37, event_type="order"),
    ]
    positives = (Positive(event_type="like"), Positive(event_type="order"))
    for first_only, asked in ((True, [35, 37]), (False, [35, 36, 37])):
        feed = Task(positives=positives, first_engagement_only=first_only, exclude_engaged=first_only)
        prepared, config = world(events(30) + later, ITEMS, {"home_feed": feed}, split=(20, 30))
        scorer = Scorer("perfect", perfect)
        evaluation = evaluate([scorer], prepared, config)
        assert np.concatenate([batch.timestamp for batch in scorer.batches]).tolist() == [at(hour) for hour in asked]
        assert (found(evaluation).available, found(evaluation).unreachable) == (len(asked), {})


def test_baselines_are_fitted_on_what_the_final_fit_sees():
    prepared, config = two_tasks()

    assert fit_end(prepared, config, "test") == at(30)
    assert fit_end(prepared, config, "validation") == at(20)
    split = config.project.split.model_copy(update={"fit_on": "train"})
    project = config.project.model_copy(update={"split": split})
    assert fit_end(prepared, config.model_copy(update={"project": project}), "test") == at(20)


def test_scorers_see_one_task_at_a_time_and_only_their_own():
    prepared, config = two_tasks()
    everywhere, only_search = Scorer("everywhere", equal), Scorer("search only", equal, tasks=("search",))
    evaluation = evaluate([everywhere, only_search], prepared, config)

    assert all(len(set(batch.task.tolist())) == 1 for batch in everywhere.batches)
    assert {batch.task[0] for batch in only_search.batches} == {"search"}
    assert [row.scorer for row in found(evaluation, "home_feed").overall.rows] == ["everywhere"]
    assert [row.scorer for row in found(evaluation, "search").overall.rows] == ["everywhere", "search only"]


def test_batches_bound_the_scores_in_memory_and_change_nothing():
    prepared, config = two_tasks()
    random = np.random.default_rng(0).random((20, 20))

    def score(requests):
        return random[requests.item]

    whole = evaluate([Scorer("s", score)], prepared, config)
    scorer = Scorer("s", score)
    small = evaluate([scorer], prepared, config, at_once=70)

    assert [len(batch) for batch in scorer.batches] == [3, 3, 3, 1] * 2
    assert _without_seconds(small) == _without_seconds(whole)


def test_the_sample_is_seeded_and_each_tasks_own():
    prepared, config = two_tasks(split=(1, 2), requests_per_task=5)

    def sampled(tasks):
        scorer = Scorer("s", equal)
        evaluate([scorer], prepared, config, tasks=tasks)
        return {batch.task[0]: batch.timestamp.tolist() for batch in scorer.batches}

    both = sampled(["home_feed", "search"])
    assert sampled(["search"])["search"] == both["search"]
    assert both["search"] != both["home_feed"]
    assert [len(times) for times in both.values()] == [5, 5]
    assert all(times == sorted(set(times)) for times in both.values())
    evaluation = evaluate([Scorer("s", equal)], prepared, config)
    assert (found(evaluation).requests, found(evaluation).available) == (5, 38)


def test_a_target_that_is_no_candidate_is_a_miss_and_is_counted():
    items = [*ITEMS, item("late", created=100)]
    rows = [*events(), event("u", "late", 35), event("u", "i03", 36, source_item_id="i03")]
    prepared, config = world(rows, items, {"home_feed": task()}, split=(20, 30), bootstrap_samples=100)
    evaluation = evaluate([Scorer("s", lambda r: perfect(r, 21))], prepared, config)

    assert found(evaluation).requests == 12
    assert found(evaluation).unreachable == {"not created before the request": 1, "is the source item": 1}
    assert metrics(evaluation, "s") == pytest.approx(dict.fromkeys(METRICS, 10 / 12))


def test_a_task_without_requests_in_the_part_says_so():
    rows = [*events(), *events(10, task="search")]
    prepared, config = world(rows, ITEMS, TASKS, split=(20, 30), bootstrap_samples=100)
    evaluation = evaluate([Scorer("s", perfect)], prepared, config)

    assert found(evaluation, "search").remark == "no requests in the slice"
    assert found(evaluation, "search").slices == ()
    assert found(evaluation, "home_feed").remark == ""


def test_a_task_without_scorers_says_so():
    prepared, config = two_tasks()
    evaluation = evaluate([Scorer("s", perfect, tasks=("search",))], prepared, config)

    assert found(evaluation, "home_feed").remark == "no scorer for this task"


@pytest.mark.parametrize("bad", [np.nan, "shape"])
def test_bad_scores_name_the_scorer_and_the_task(bad):
    prepared, config = two_tasks()

    def score(requests):
        return equal(requests, 19) if bad == "shape" else np.full((len(requests), 20), bad)

    with pytest.raises(ValueError, match="scorer `broken`, task `home_feed`"):
        evaluate([Scorer("broken", score)], prepared, config)


def test_names_must_be_known_and_differ():
    prepared, config = two_tasks()

    with pytest.raises(UserError, match=r"unknown task `serch`.*Did you mean `search`"):
        evaluate([Scorer("s", equal)], prepared, config, tasks=["serch"])
    with pytest.raises(ValueError, match="Received for `home_feed`: `s` twice"):
        evaluate([Scorer("s", equal), Scorer("s", equal)], prepared, config)


def test_models_are_compared_with_the_best_baseline_of_each_metric():
    class Named(PopularityBaseline):
        def __init__(self, name, function):
            super().__init__("home_feed")
            self.name, self.score = name, function

    def place(where):
        def score(requests):
            scores = perfect(requests)
            scores[:, : where - 1] += 2
            return np.roll(scores, 0, axis=1)

        return score

    rows = [event("u", "i19", n) for n in range(40)]
    prepared, config = world(rows, ITEMS, {"home_feed": task()}, split=(20, 30), bootstrap_samples=100)
    scorers = [Scorer("model", place(3)), Named("second", place(2)), Named("fourth", place(4))]
    evaluation = evaluate(scorers, prepared, config)
    against = {c.metric: c for c in found(evaluation).comparisons}

    assert set(against) == set(METRICS)
    assert against["mrr"].baseline == against["ndcg@10"].baseline == "second"
    assert against["mrr"].difference.value == pytest.approx(1 / 3 - 1 / 2)
    assert (against["mrr"].below, against["mrr"].certain) == (True, True)
    assert (against["recall@10"].below, against["recall@10"].certain) == (False, False)
    assert [row.kind for row in found(evaluation).overall.rows] == ["model", "baseline", "baseline"]


def test_slices_by_country_user_and_item():
    countries = [f"C{n}" for n in range(12)]
    rows = [event("old", "i00", n) for n in range(20)]
    # Country n has n + 2 requests, so that the two last by number are the first by name.
    rows += [
        event(f"{country}{n}", f"i{place % 2:02}", 30 + place, country=country)
        for place, country in enumerate(countries)
        for n in range(place + 2)
    ]
    rows += [event(None, "i02", 60), event("native", "i02", 61), event("old", "i03", 62)]
    users = pd.DataFrame(
        [{"user_id": name, "country": None} for name in {r["user_id"] for r in rows} - {None, "native"}]
        + [{"user_id": "native", "country": "C11"}]
    )
    prepared, config = world(rows, ITEMS, {"home_feed": task()}, split=(20, 30), users=users, bootstrap_samples=100)
    slices = found(evaluate([Scorer("s", equal)], prepared, config)).slices
    sizes = {(s.dimension, s.name): s.requests for s in slices}

    assert slices[0].dimension == "all"
    assert [s.name for s in slices if s.dimension == "country"][:3] == ["C11", "C10", "C9"]
    # The user's own country where the request has none.
    assert sizes["country", "C11"] == 13 + 1
    assert sizes["country", "other"] == 2 + 3
    assert sizes["country", "unknown"] == 2
    total = sizes["all", "all"]
    for dimension in ("country", "user", "item", "activity"):
        assert sum(size for (of, _), size in sizes.items() if of == dimension) == total
    assert sizes["user", "warm"] == 1
    assert sizes["user", "cold"] == total - 1
    # i01 first appears at hour 31 in three requests of that moment, i02 at 60, i03 at 62.
    assert sizes["item", "cold"] == 3 + 1 + 1


def test_a_user_is_warm_from_the_sixth_event_on():
    rows = [*events(), *[event("me", f"i{n:02}", 31 + n) for n in range(8)]]
    prepared, config = world(rows, ITEMS, {"home_feed": task()}, split=(20, 30))
    requests = prepared.examples.take(prepared.examples.user == prepared.user_ids.tolist().index("me"))
    cuts = {(dimension, name): mask for dimension, name, mask in cut(requests, prepared, config)}

    assert cuts["user", "cold"].tolist() == [True] * 5 + [False] * 3


def test_unseen_items_of_anonymous_views_are_warm():
    rows = [*events(), event(None, "late", 33, event_type="view"), event("u1", "late", 35)]
    prepared, config = world(rows, [*ITEMS, item("late")], {"home_feed": task()}, split=(20, 30))
    slices = found(evaluate([Scorer("s", lambda r: equal(r, 21))], prepared, config)).slices

    assert {s.name: s.requests for s in slices if s.dimension == "item"} == {"cold": 0, "warm": 11}
    assert next(s for s in slices if s.name == "cold" and s.dimension == "item").rows == ()


def test_the_top_tens_of_model_and_best_baseline_are_summed_up_and_shown():
    """The model recommends to each what they take, the baseline the same ten to everybody."""
    names = [f"i{n:02}" for n in range(40)]
    rows = [event(f"u{n % 7}", names[n], n) for n in range(40)]
    prepared, config = world(
        rows, [item(name, f"Title {name}") for name in names], {"home_feed": task()}, split=(5, 10),
        bootstrap_samples=100,
    )  # fmt: skip
    baseline = PopularityBaseline("home_feed")
    baseline.fit(prepared, at(10))
    retrieval = Scorer("two towers", lambda r: equal(r, 40))
    evaluation = evaluate([Scorer(JOINT, lambda r: perfect(r, 40)), retrieval, baseline], prepared, config)
    found_task = found(evaluation)
    concentrations = {one.scorer: one for one in found_task.concentrations}

    assert list(concentrations) == [JOINT, "popularity"]
    assert concentrations["popularity"].coverage == 10 / 40
    assert concentrations[JOINT].coverage >= 30 / 40
    assert concentrations[JOINT].gini < concentrations["popularity"].gini
    assert len(found_task.shown) == 5
    for one in found_task.shown:
        assert (one.recommended[0].title, one.recommended[0].taken) == (one.taken, True)
        assert one.rank == 1
    (lift,) = [c.ratio for c in found_task.comparisons if (c.model, c.metric) == (JOINT, "mrr")]
    means = [metrics(evaluation, name)["mrr"] for name in (JOINT, "popularity")]
    assert lift.value == pytest.approx(means[0] / means[1])
    assert (lift.low, lift.high) == pytest.approx((lift.value, lift.value)), "every request gives the same ratio"


def test_slices_by_event_are_those_of_the_heads_where_there_are_two():
    both = Task(positives=(Positive(event_type="like"), Positive(event_type="buy")))
    rows = [event(f"u{n % 7}", f"i{n % 20:02}", n, event_type=("like", "buy")[n % 3 == 0]) for n in range(40)]
    prepared, config = world(rows, ITEMS, {"home_feed": both}, split=(20, 30), bootstrap_samples=100)
    targets = perfect

    def only_likes(requests):
        return np.where((requests.head == "like")[:, None], targets(requests), -targets(requests))

    evaluation = evaluate([Scorer("s", only_likes)], prepared, config)
    sizes = {s.name: s.requests for s in found(evaluation).slices if s.dimension == "event"}

    assert sizes == {"buy": 4, "like": 6}
    assert metrics(evaluation, "s", dimension="event", name="like")["ndcg@10"] == 1
    assert metrics(evaluation, "s", dimension="event", name="buy")["ndcg@10"] == 0
    one_kind = evaluate([Scorer("s", perfect)], *two_tasks())
    assert not [s for s in found(one_kind).slices if s.dimension == "event"]


def test_evaluation_goes_to_json_and_back():
    prepared, config = two_tasks()
    baseline = PopularityBaseline("home_feed")
    baseline.fit(prepared, at(30))
    baseline.note = "a remark"
    evaluation = evaluate([Scorer("model", perfect), baseline], prepared, config)

    assert found(evaluation).comparisons
    assert found(evaluation).notes == {"popularity": "a remark"}
    assert Evaluation.from_json(json.loads(json.dumps(evaluation.to_json(), allow_nan=False))) == evaluation


def test_two_runs_agree_in_every_digit():
    prepared, config = two_tasks()
    runs = [evaluate([Scorer("s", perfect)], prepared, config) for _ in range(2)]

    assert _without_seconds(runs[0]) == _without_seconds(runs[1])


def test_later_rows_change_no_earlier_number():
    later = [event("u1", "i05", 50 + n, "search", query="words") for n in range(9)]
    numbers = []
    for rows in ([], later):
        prepared, config = world(events() + events(task="search", query="words") + rows, ITEMS, TASKS, split=(20, 30))
        baseline = PopularityBaseline("search")
        baseline.fit(prepared, fit_end(prepared, config, "validation"))
        evaluation = evaluate([baseline], prepared, config, part="validation")
        numbers.append(_without_seconds(evaluation))

    assert numbers[0] == numbers[1]


def test_progress_counts_every_ranking_and_nothing_is_printed(capsys):
    prepared, config = two_tasks()
    heard = []
    scorers = [Scorer("a", perfect), Scorer("b", perfect, tasks=("search",))]
    with listening(heard.append):
        evaluate(scorers, prepared, config)
    (progress,) = set(heard)
    assert (progress.done, progress.total, progress.unit, progress.ended) == (30, 30, "rankings", True)
    assert capsys.readouterr() == ("", "")


def test_times_are_whole_seconds_of_the_split():
    prepared, config = two_tasks()

    assert evaluate([Scorer("s", perfect)], prepared, config).start == START + 30 * 3600


def _without_seconds(evaluation):
    return [dataclasses.replace(t, seconds={}) for t in evaluation.tasks]


def test_bands_of_activity_hold_users_by_their_events_before_the_request():
    prepared, config = two_tasks()
    requests = prepared.between(None, None)
    lengths = np.resize([0, 1, 4, 5, 19, 20, 99, 100, 5000], len(requests))
    requests = dataclasses.replace(requests, history_length=lengths)
    bands = {name: sorted(set(lengths[mask])) for of, name, mask in cut(requests, prepared, config) if of == "activity"}
    assert bands == {"0": [0], "1-4": [1, 4], "5-19": [5, 19], "20-99": [20, 99], "100+": [100, 5000]}
