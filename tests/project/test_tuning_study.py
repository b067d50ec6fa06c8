"""The search: its objective, its budget, what it keeps, and how it goes on."""

import numpy as np
import pytest

from unified_ranker.core.errors import UserError
from unified_ranker.evaluation.comparison.run_result import RunResult
from unified_ranker.evaluation.tuning.search_space import Range
from unified_ranker.project.tuning_study import Search, relative, trial_run

SPACE = {"rate": Range(0.0, 1.0)}
BEST = 0.7


class Trainings:
    """Stands in for the runs: NDCG is highest at `BEST`, each takes a minute, and some rates cannot be trained."""

    def __init__(self, refused=()):
        self.rates, self.refused, self.killed_at = [], refused, None

    def run_one(self, project, overrides, run):
        rate = float(run.overrides[0].partition("=")[2])
        if len(self.rates) == self.killed_at:
            raise KeyboardInterrupt
        self.rates.append(rate)
        if any(low <= rate <= high for low, high in self.refused):
            raise UserError("the loss is not a number")
        # NDCG@10 of rank 1 is 1, of infinity 0.
        hits = round(1000 * (0.8 - abs(rate - BEST)))
        ranks = np.where(np.arange(2000) < hits, 1.0, np.inf)
        return RunResult(run, {"feed": {"joint model": ranks}}, 50.0, 10.0, 1, {}), False

    def search(self, directory, space=SPACE, key="k"):
        declared = {path: {"rate": 0.2, "width": 4}[path] for path in space}
        return Search(directory, [], space, declared, directory / "study.db", key, seed=3, run_one=self.run_one)


@pytest.fixture
def trainings():
    return Trainings()


def run(found, minutes=1000.0, most=None):
    begun, ended = [], []
    found.run(minutes, most, lambda number, settings: begun.append(settings), ended.append)
    return begun, ended


def test_it_finds_what_is_better_than_the_declared(tmp_path, trainings):
    found = trainings.search(tmp_path)
    begun, ended = run(found, most=30)
    assert begun[0] == {"rate": 0.2}
    assert ended[0].value == 1.0
    assert found.best.settings["rate"] == pytest.approx(BEST, abs=0.08)
    assert found.best.value == pytest.approx((0.8 - abs(found.best.settings["rate"] - BEST)) / 0.3, rel=0.01)
    late = np.abs(np.array(trainings.rates[20:]) - BEST).mean()
    assert late < np.abs(np.array(trainings.rates[1:9]) - BEST).mean(), "it learns from what it tried"


def test_the_time_counts_over_all_runs_and_no_trial_begins_that_would_end_after_it(tmp_path, trainings):
    assert len(run(trainings.search(tmp_path), minutes=3.5)[1]) == 3
    assert run(trainings.search(tmp_path), minutes=3.5)[1] == []
    assert len(run(trainings.search(tmp_path), minutes=5)[1]) == 2
    assert len(set(trainings.rates)) == 5, "a search that goes on draws anew"


def test_the_declared_settings_are_tried_in_any_case(tmp_path, trainings):
    assert [t.settings for t in run(trainings.search(tmp_path), minutes=0.1)[1]] == [{"rate": 0.2}]


def test_an_interrupted_trial_is_begun_again(tmp_path, trainings):
    trainings.killed_at = 2
    with pytest.raises(KeyboardInterrupt):
        run(trainings.search(tmp_path), most=4)
    trainings.killed_at = None
    again = trainings.search(tmp_path)
    begun, _ = run(again, most=4)
    assert len(again.tried) == 4
    assert len(begun) == 2
    interrupted = again._study.get_trials()[2]
    assert (interrupted.state.name, interrupted.params) == ("FAIL", begun[0])


@pytest.mark.parametrize("done", [0, 1])
def test_a_search_that_is_killed_before_a_trial_has_drawn_still_begins_with_the_declared(tmp_path, trainings, done):
    space = {"rate": Range(0.0, 1.0), "width": Range(1, 9)}
    found = trainings.search(tmp_path, space)
    run(found, most=done) if done else None
    trial = found._study.ask()
    if done:
        # Of its two settings, it drew one.
        trial.suggest_float("rate", 0.0, 1.0)
    again = trainings.search(tmp_path, space)
    begun, _ = run(again, most=2)
    assert again.tried[0].settings == {"rate": 0.2, "width": 4}
    assert len(again.tried) == 2
    assert set(begun[-1]) == set(space)


def test_a_trial_that_fails_is_reported_and_passed_over(tmp_path, trainings):
    trainings.refused = ((0.0, 0.1), (0.3, 1.0))
    found = trainings.search(tmp_path)
    _, ended = run(found, most=6)
    failed = [t for t in ended if t.value is None]
    assert failed
    assert all("not a number" in t.failure for t in failed)
    assert found.best.settings["rate"] <= 0.3


def test_declared_settings_that_fail_end_the_search(tmp_path, trainings):
    trainings.refused = ((0.15, 0.25),)
    for _ in range(2):
        with pytest.raises(UserError, match=r"the declared settings cannot be trained.*not a number"):
            run(trainings.search(tmp_path), most=3)
    trainings.refused = ()
    assert run(trainings.search(tmp_path), most=1)[1][0].settings == {"rate": 0.2}


def test_another_key_or_space_is_another_search(tmp_path, trainings):
    run(trainings.search(tmp_path), most=2)
    assert trainings.search(tmp_path, key="other").tried == []
    assert trainings.search(tmp_path, {"rate": Range(0.0, 2.0)}).tried == []
    assert len(trainings.search(tmp_path).tried) == 2


def test_no_task_counts_more_for_being_easier():
    base = {"search": 0.8, "feed": 0.1, "empty": 0.0}
    assert relative({"search": 0.4, "feed": 0.2, "empty": 0.3}, base) == pytest.approx((0.5 + 2.0) / 2)
    with pytest.raises(UserError, match="NDCG@10 is 0 for empty"):
        relative({"empty": 0.1}, {"empty": 0.0})


def test_the_same_settings_have_the_same_place():
    assert trial_run({"a": 1}, 7).directory == trial_run({"a": 1}, 7).directory
    assert trial_run({"a": 1}, 7).directory != trial_run({"a": 2}, 7).directory
    assert trial_run({"a": 1}, 7).settings == ["a=1", "project.training.seed=7"]
