"""Trains and measures the runs of a comparison, each in a process of its own; what is done already is kept."""

import json
import multiprocessing
import multiprocessing.connection
import os
import resource
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from unified_ranker.config.loading import load_config
from unified_ranker.core.digests import short_digest
from unified_ranker.core.errors import UserError
from unified_ranker.core.files import clear_drafts
from unified_ranker.core.locks import lock
from unified_ranker.core.progress import Listener, listener, listening, silent
from unified_ranker.evaluation.comparison.plan import PlannedRun
from unified_ranker.evaluation.comparison.run_result import RunResult
from unified_ranker.evaluation.results import Diagnosis
from unified_ranker.project.lever_checks import require_levers
from unified_ranker.project.stages import Pipeline
from unified_ranker.project.workspace import Workspace, fill, fresh, stamp_of

DIRECTORY, RANKS = "comparison", "ranks.npz"
BASELINES = PlannedRun("baselines", "variant", 0)


_DIAGNOSES: TypeAdapter[dict[str, Diagnosis]] = TypeAdapter(dict[str, Diagnosis])


def run_all(
    project: Path,
    overrides: Sequence[str],
    runs: Sequence[PlannedRun],
    announce: Callable[[PlannedRun, bool, float], None] = lambda *_: None,
    jobs: int = 1,
) -> list[RunResult]:
    """Return the results of the baselines, then of `runs`; each is made unless it is there and up to date.

    Args:
        project: the project's directory.
        overrides: declarations of all runs, as `path=value`.
        runs: what to train.
        announce: is told of each run, whether it was kept, and the seconds it took.
        jobs: how many run at once, each with its part of the processors; their progress is told of one alone.

    Raises:
        UserError: a lever asks more than the log has, and nothing was trained; a run failed, and those that ended
            before stay; or another comparison has the work directory.
    """
    workspace = Workspace(project, load_config(project, list(overrides)))
    prepared = Pipeline(workspace).prepared
    for run in runs:
        # Of all runs before the first is trained.
        try:
            require_levers(prepared, load_config(project, [*overrides, *run.settings]), run.tasks)
        except UserError as error:
            raise UserError(f"what the {run.kind} `{run.name}` declares must suit the log: {error}") from error
    threads = max((os.cpu_count() or 1) // jobs, 1) if jobs > 1 else 0
    # The threads below begin with a silent listener.
    told = listener() if jobs == 1 else silent

    def one(run: PlannedRun) -> RunResult:
        started = time.perf_counter()
        with listening(told):
            result, kept = run_one(project, overrides, run, threads)
        announce(run, kept, time.perf_counter() - started)
        return result

    place = workspace.stage(DIRECTORY)
    # A second comparison would write the same checkpoints.
    with lock(place, ".lock", "comparing", "project.work_dir"):
        clear_drafts(place)
        # Threads that wait for the processes of the runs.
        pool = ThreadPoolExecutor(jobs)
        try:
            return list(pool.map(one, [BASELINES, *runs]))
        finally:
            pool.shutdown(cancel_futures=True)


def run_one(project: Path, overrides: Sequence[str], run: PlannedRun, threads: int = 0) -> tuple[RunResult, bool]:
    """Return the result of a run, and whether it was there and up to date; the data must be prepared.

    The listener of this context hears of its progress, in the process of the run.
    `threads` is how many threads an operation of TensorFlow may take, 0 for as many as there are processors.

    Raises:
        UserError: it failed.
        BrokenProcessPool: its process died.
    """
    directory, key = place_of(project, overrides, run)
    kept = fresh(directory, key)
    if not kept:
        # A process for each: its memory is its own, and TensorFlow starts anew.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=context, initializer=_end_with_parent) as pool:
            pool.submit(_heard_by, listener(), project, list(overrides), run, threads).result()
    return read(directory, run), kept


def _end_with_parent() -> None:
    """End this process when the one that started it does, however that dies: two would write the same checkpoints."""
    parent = multiprocessing.parent_process()
    if parent is None:
        raise RuntimeError("`_end_with_parent` must run in a process that multiprocessing started. Received: another.")

    def wait() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def place_of(project: Path, overrides: Sequence[str], run: PlannedRun) -> tuple[Path, str]:
    """Return a run's directory, and the key of what it depends on."""
    pipeline = _pipeline(project, overrides, run)
    # The baselines learn from the examples alone, and do not change with how a model is trained.
    depends = pipeline.evaluate_key
    if run == BASELINES:
        parts = ("project.evaluation", "project.split", "project.seed", "tasks")
        depends = pipeline.prepare_key + pipeline.config.digest(*parts)
    key = short_digest(depends, json.dumps(asdict(run)))
    return pipeline.workspace.stage(DIRECTORY) / run.directory, key


def _heard_by(to: Listener, project: Path, overrides: Sequence[str], run: PlannedRun, threads: int) -> None:
    with listening(to):
        make(project, overrides, run, threads)


def make(project: Path, overrides: Sequence[str], run: PlannedRun, threads: int = 0) -> None:
    """Train and measure one run, and write what it found; an interrupted training goes on from its last epoch."""
    from unified_ranker.evaluation.baselines.selection import fit_baselines
    from unified_ranker.evaluation.candidates import CandidateRules
    from unified_ranker.evaluation.diagnosis import diagnose_part
    from unified_ranker.evaluation.protocol import Scorer, evaluate, fit_end
    from unified_ranker.evaluation.results import Contender
    from unified_ranker.evaluation.scoring import JointScorer, RequestEncoder, TwoTowerScorer

    pipeline = _pipeline(project, overrides, run)
    directory, key = place_of(project, overrides, run)
    config, prepared = pipeline.config, pipeline.prepared
    require_levers(prepared, config, run.tasks)
    part = config.project.evaluation.part
    ranks: dict[str, np.ndarray] = {}

    def keep(task: str, contenders: Sequence[Contender]) -> None:
        ranks.update({f"{task}/{c.name}": c.ranks for c in contenders})

    with fill(directory, key) as (draft, notes):
        started = time.perf_counter()
        scorers: list[Scorer] = []
        encoder: RequestEncoder | None = None
        rules = CandidateRules(prepared, config)
        if run == BASELINES:
            chosen = config.project.evaluation.baselines
            scorers += fit_baselines(prepared, list(config.tasks), fit_end(prepared, config, part), chosen)
        else:
            from unified_ranker.evaluation.calibrate import calibrate
            from unified_ranker.towers.tensorflow import tf
            from unified_ranker.training.training_job import train

            if threads and not config.project.training.threads:
                tf.config.threading.set_intra_op_parallelism_threads(threads)
            checkpoints = directory.with_name(f"{directory.name}-checkpoints") / pipeline.train_key
            trained = train(prepared, config, checkpoints, run.tasks)
            if run.kind != "trial":
                # Of a trial only the ranks are asked for, and calibration moves none.
                calibrate(trained, prepared, run.tasks)
            notes["curves"] = trained.curves
            encoder = RequestEncoder(trained.model, prepared, trained.quality)
            scorers += [JointScorer(encoder, rules), TwoTowerScorer(encoder)]
        notes["train_seconds"] = round(time.perf_counter() - started, 1)
        started = time.perf_counter()
        evaluate(scorers, prepared, config, run.tasks or None, part, keep)
        if encoder is not None and run.kind != "trial":
            found = {task: diagnose_part(encoder, rules, prepared, task, part) for task in run.tasks or config.tasks}
            kept = {task: diagnosis for task, diagnosis in found.items() if diagnosis is not None}
            notes["diagnoses"] = _DIAGNOSES.dump_python(kept, mode="json")
        notes["evaluate_seconds"] = round(time.perf_counter() - started, 1)
        notes["peak_memory_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        notes["run"] = asdict(run)
        np.savez_compressed(draft / RANKS, **ranks)  # type: ignore[arg-type]
    if run != BASELINES:
        shutil.rmtree(checkpoints.parent, ignore_errors=True)


def read(directory: Path, run: PlannedRun) -> RunResult:
    """Read what `make` wrote."""
    notes: dict[str, Any] = stamp_of(directory)
    ranks: dict[str, dict[str, np.ndarray]] = {}
    with np.load(directory / RANKS) as stored:
        for name in stored.files:
            task, _, scorer = name.partition("/")
            ranks.setdefault(task, {})[scorer] = stored[name]
    return RunResult(
        run,
        ranks,
        notes["train_seconds"],
        notes["evaluate_seconds"],
        notes["peak_memory_mib"],
        notes.get("curves", {}),
        _DIAGNOSES.validate_python(notes.get("diagnoses", {})),
    )


def _pipeline(project: Path, overrides: Sequence[str], run: PlannedRun) -> Pipeline:
    settings = run.settings if run != BASELINES else []
    config = load_config(project, [*overrides, *settings])
    return Pipeline(Workspace(project, config), run.tasks)
