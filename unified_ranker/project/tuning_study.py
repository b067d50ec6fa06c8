"""Search of settings, with its trials in a database, so that a killed search can continue."""

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
from unified_ranker.evaluation.comparison.plan import PlannedRun
from unified_ranker.evaluation.comparison.run_result import RunResult
from unified_ranker.evaluation.metrics import DECISIVE_METRIC, METRICS, metric_values
from unified_ranker.evaluation.results import JOINT
from unified_ranker.evaluation.tuning.search_space import SearchSpace, Value, assignments, to_json
from unified_ranker.project.comparison_runs import run_one

STARTING = 8
"""Random trials before Optuna's TPE begins."""
RunTrainer = Callable[[Path, list[str], PlannedRun], tuple[RunResult, bool]]
"""Trainer and meter of a run of a project with overrides; also tells whether it was there already."""


@dataclass(frozen=True)
class Tried:
    """Finished trial.

    Attributes:
        number: of the trial, from 0.
        settings: by path.
        value: mean over tasks of the ratio of NDCG@10 to that of the declared settings; None where the trial failed.
        ndcg: NDCG@10 by task.
        seconds: its duration.
        failure: reason of a failure; "" for none.
    """

    number: int
    settings: dict[str, Value]
    value: float | None
    ndcg: dict[str, float]
    seconds: float
    failure: str


class Search:
    """Study of one search space over one project, stored in a database.

    Args:
        project: its directory.
        overrides: declarations of all trials, including those of the validation slice.
        space: the search space.
        declared: settings of the first trial, with which all others are compared.
        database: an SQLite file, made where it is absent.
        key: digest of all that the trials depend on; each key has a study of its own.
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
        run_one: RunTrainer = run_one,
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._project, self._overrides, self._space, self._seed = project, overrides, space, seed
        self._run_one = run_one
        database.parent.mkdir(parents=True, exist_ok=True)
        name = short_digest(json.dumps([key, to_json(space)]))
        storage = f"sqlite:///{database}"
        self._study = optuna.create_study(storage=storage, study_name=name, direction="maximize", load_if_exists=True)
        for trial in self._study.get_trials(states=(TrialState.RUNNING,)):
            # The trial of a killed run is repeated, and its training continues. It may lack some of its settings.
            self._study.tell(trial.number, state=TrialState.FAIL)
            if set(trial.params) == set(space):
                self._study.enqueue_trial(trial.params)
        if not self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.WAITING)):
            # There is no first trial to compare with yet.
            self._study.enqueue_trial(dict(declared))
        self._study.sampler = optuna.samplers.TPESampler(
            n_startup_trials=STARTING, seed=seed + len(self._study.get_trials(deepcopy=False))
        )

    @property
    def tried(self) -> list[Tried]:
        """The finished trials, in order."""
        ended = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.FAIL))
        return [_tried(trial) for trial in ended if "seconds" in trial.user_attrs]

    @property
    def best(self) -> Tried:
        """The best trial: that of the declared settings until another is better."""
        return max((t for t in self.tried if t.value is not None), key=lambda t: (t.value or 0.0, -t.number))

    def run(
        self,
        minutes: float,
        most: int | None,
        begin: Callable[[int, dict[str, Value]], None],
        end: Callable[[Tried], None],
    ) -> None:
        """Run trials within a time limit over all runs of the study; the declared settings are always tried.

        No trial begins that would exceed the limit if it took as long as the longest one before.

        Args:
            minutes: of all trials together.
            most: greatest number of trials; None: no limit.
            begin: is called with number and settings of a trial.
            end: is called with the finished trial.

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
            result, _ = self._run_one(self._project, self._overrides, run)
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
        # Includes the start of its process, and the time of earlier, killed runs of the trial.
        spent = max(time.perf_counter() - started, result.train_seconds + result.evaluate_seconds)
        trial.set_user_attr("seconds", spent)
        self._study.tell(trial, relative(found, base))
        return self.tried[-1]


def trial_run(settings: Mapping[str, Value], seed: int) -> PlannedRun:
    """Return the run of some settings. Equal settings have the same directory, so that trained models are reused."""
    overrides = tuple(assignments(settings))
    digest = short_digest(*overrides)
    return PlannedRun(f"trial {digest}", "trial", seed, (), overrides)


def ndcg_of(result: RunResult) -> dict[str, float]:
    """Return NDCG@10 of the joint model by task, of the tasks that had requests."""
    column = METRICS.index(DECISIVE_METRIC)
    ranks = {task: scorers[JOINT] for task, scorers in result.ranks.items() if len(scorers[JOINT])}
    return {task: float(metric_values(found)[:, column].mean()) for task, found in ranks.items()}


def relative(found: Mapping[str, float], base: Mapping[str, float]) -> float:
    """Return the mean over tasks of `found` / `base`, so that an easier task does not have more weight.

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
