"""The search: what was tried is in a database, so that a killed one goes on where it was."""

import json
import time
from collections.abc import Callable, Mapping
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from unified_ranker.core.digests import short_digest
from unified_ranker.core.errors import UserError
from unified_ranker.evaluation.comparison.comparison_summary import JOINT
from unified_ranker.evaluation.comparison.plan import PlannedRun
from unified_ranker.evaluation.comparison.run_result import RunResult
from unified_ranker.evaluation.metrics import DECISIVE_METRIC, METRICS, metric_values
from unified_ranker.evaluation.tuning.search_space import SearchSpace, Value, assignments, to_json
from unified_ranker.project.comparison_runs import run_one

STARTING = 8
"""Trials at random before Optuna's TPE begins to model them."""


@dataclass(frozen=True)
class Tried:
    """A trial that ended.

    Attributes:
        number: of the trial, from 0.
        settings: by path.
        value: mean over the tasks of NDCG@10 over that of the declared settings; None where the trial failed.
        ndcg: NDCG@10 by task.
        seconds: it took.
        failure: why it failed; "".
    """

    number: int
    settings: dict[str, Value]
    value: float | None
    ndcg: dict[str, float]
    seconds: float
    failure: str


class Search:
    """A study of one space over one project, in a database that outlives the process.

    Args:
        project: its directory.
        overrides: declarations of all trials, those of the validation slice among them.
        space: what is searched.
        declared: the values that the first trial has, to which all others are compared.
        database: an SQLite file, made where it is absent.
        key: what the trials depend on; another key is another study.
        seed: of the search.
    """

    def __init__(
        self,
        project: Path,
        overrides: list[str],
        space: SearchSpace,
        declared: Mapping[str, Value],
        database: Path,
        key: str,
        seed: int,
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._project, self._overrides, self._space, self._seed = project, overrides, space, seed
        database.parent.mkdir(parents=True, exist_ok=True)
        name = short_digest(json.dumps([key, to_json(space)]))
        storage = f"sqlite:///{database}"
        self._study = optuna.create_study(storage=storage, study_name=name, direction="maximize", load_if_exists=True)
        for trial in self._study.get_trials(states=(TrialState.RUNNING,)):
            # What a killed run was at: its training goes on from its last epoch. It may have drawn a part of it only.
            self._study.tell(trial.number, state=TrialState.FAIL)
            if set(trial.params) == set(space):
                self._study.enqueue_trial(trial.params)
        if not self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.WAITING)):
            # Nothing to compare with yet.
            self._study.enqueue_trial(dict(declared))
        self._study.sampler = optuna.samplers.TPESampler(
            n_startup_trials=STARTING, seed=seed + len(self._study.get_trials(deepcopy=False))
        )

    @property
    def tried(self) -> list[Tried]:
        """The trials that ended, in their order; those that were killed are not among them."""
        ended = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.FAIL))
        return [_tried(trial) for trial in ended if "seconds" in trial.user_attrs]

    @property
    def best(self) -> Tried:
        """The best trial; the declared settings while nothing is better."""
        return max((t for t in self.tried if t.value is not None), key=lambda t: (t.value or 0.0, -t.number))

    def run(
        self,
        minutes: float,
        most: int | None,
        begin: Callable[[int, dict[str, Value]], None],
        end: Callable[[Tried], None],
    ) -> None:
        """Try settings until the time is over, counted over all runs of the study; the declared ones in any case.

        No trial begins that would end after the time, were it as long as the longest before it.

        Args:
            minutes: of all trials together.
            most: trials at the most; None for no bound.
            begin: is told number and settings of a trial.
            end: is told what became of it.

        Raises:
            UserError: the declared settings cannot be trained.
        """
        while True:
            tried = self.tried
            seconds = [trial.seconds for trial in tried]
            over = sum(seconds) + max(seconds, default=0.0) > 60 * minutes
            if tried and (over or (most is not None and len(tried) >= most)):
                return
            trial = self._study.ask()
            settings = {path: entry.draw(trial, path) for path, entry in self._space.items()}
            begin(trial.number, settings)
            end(self._try(trial, settings, first=not any(t.value is not None for t in tried)))

    def _try(self, trial: optuna.Trial, settings: dict[str, Value], *, first: bool) -> Tried:
        started = time.perf_counter()
        try:
            run = trial_run(settings, self._seed)
            result, _ = run_one(self._project, self._overrides, run)
        except (UserError, BrokenProcessPool) as error:
            if first:
                self._study.enqueue_trial(settings)
                self._study.tell(trial, state=TrialState.FAIL)
                raise UserError(
                    f"the declared settings cannot be trained, so nothing compares with them: {error}"
                ) from error
            died = isinstance(error, BrokenProcessPool)
            trial.set_user_attr("failure", "its process died; memory may have run out" if died else str(error))
            trial.set_user_attr("seconds", time.perf_counter() - started)
            self._study.tell(trial, state=TrialState.FAIL)
            return self.tried[-1]
        found = ndcg_of(result)
        base = found if first else next(t.ndcg for t in self.tried if t.value is not None)
        trial.set_user_attr("ndcg", found)
        # The starting of its process counts, and so does what a run that was killed had finished of it.
        spent = max(time.perf_counter() - started, result.train_seconds + result.evaluate_seconds)
        trial.set_user_attr("seconds", spent)
        self._study.tell(trial, relative(found, base))
        return self.tried[-1]


def trial_run(settings: Mapping[str, Value], seed: int) -> PlannedRun:
    """Return the run of some settings: the same settings have the same directory, so what was trained is kept."""
    overrides = tuple(assignments(settings))
    digest = short_digest(*overrides)
    return PlannedRun(f"trial {digest}", "trial", seed, (), overrides)


def ndcg_of(result: RunResult) -> dict[str, float]:
    """Return NDCG@10 of the joint model by task, of the tasks that had requests."""
    column = METRICS.index(DECISIVE_METRIC)
    ranks = {task: scorers[JOINT] for task, scorers in result.ranks.items() if len(scorers[JOINT])}
    return {task: float(metric_values(found)[:, column].mean()) for task, found in ranks.items()}


def relative(found: Mapping[str, float], base: Mapping[str, float]) -> float:
    """Return the mean over tasks of `found` / `base`, so that no task weighs more for being easier.

    Raises:
        UserError: no task has a base above zero.
    """
    shares = [found[task] / value for task, value in base.items() if value > 0]
    if not shares:
        raise UserError(
            f"no task finds anything with the declared settings: NDCG@10 is 0 for {', '.join(base) or 'every task'} on "
            "the validation slice. Train longer (`project.training.epochs`), or move `project.split`."
        )
    return float(np.mean(shares))


def _tried(trial: FrozenTrial) -> Tried:
    attributes = trial.user_attrs
    return Tried(
        trial.number,
        dict(trial.params),
        trial.value if trial.state is TrialState.COMPLETE else None,
        attributes.get("ndcg", {}),
        attributes["seconds"],
        attributes.get("failure", ""),
    )
