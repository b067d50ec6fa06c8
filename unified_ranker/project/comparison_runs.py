"""Runs of a comparison: each is trained and measured in a process of its own, and finished ones are reused."""

import json
import multiprocessing
import multiprocessing.connection
import os
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import TypeAdapter

from unified_ranker.config import Config
from unified_ranker.config.loading import load_config
from unified_ranker.core.digests import short_digest
from unified_ranker.core.errors import UserError
from unified_ranker.core.files import clear_drafts
from unified_ranker.core.locks import lock
from unified_ranker.core.progress import Listener, listener, listening, silent
from unified_ranker.evaluation.comparison.plan import PlannedRun
from unified_ranker.evaluation.comparison.run_result import RunResult
from unified_ranker.evaluation.results import Contender, Diagnosis
from unified_ranker.project.data_needs import require_enough_data
from unified_ranker.project.prepare_stage import prepared_data
from unified_ranker.project.run_stage import peak_memory_mib
from unified_ranker.project.stage_cache import fill, fresh, stamp_of
from unified_ranker.project.stage_context import StageContext, choose_tasks
from unified_ranker.project.train_stage import train_model
from unified_ranker.project.workspace import Workspace

if TYPE_CHECKING:
    from unified_ranker.evaluation.baselines.base import Baseline
    from unified_ranker.prepare.prepared import Prepared

COMPARISON_FOLDER, RANKS_FILE = "comparison", "ranks.npz"
BASELINE_RESULTS = PlannedRun("baselines", "variant", 0)


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
        announce: is called with each run, whether it was reused, and its seconds.
        jobs: number of runs at a time, which share the processors; progress is shown only if it is 1.

    Raises:
        UserError: before training, a setting needs more data than the log has; a run failed, and finished runs are
            kept; or another comparison has the work directory.
    """
    workspace = Workspace(project, load_config(project, list(overrides)))
    prepared = prepared_data(StageContext(workspace))
    for run in runs:
        # All runs are checked before the first is trained.
        try:
            require_enough_data(prepared, load_config(project, [*overrides, *run.settings]), run.tasks)
        except UserError as error:
            raise UserError(f"the declarations of the {run.kind} `{run.name}` do not suit the log: {error}") from error
    threads = max((os.cpu_count() or 1) // jobs, 1) if jobs > 1 else 0
    # Other threads have a silent listener by default.
    shown_by_run = listener() if jobs == 1 else silent

    def one(run: PlannedRun) -> RunResult:
        started = time.perf_counter()
        with listening(shown_by_run):
            result, kept = run_one(project, overrides, run, threads)
        announce(run, kept, time.perf_counter() - started)
        return result

    directory = workspace.stage(COMPARISON_FOLDER)
    # Locked, because a second comparison would write the same checkpoints.
    with lock(directory, ".lock", "comparing", "project.work_dir"):
        clear_drafts(directory)
        # The threads only wait for the processes of the runs.
        pool = ThreadPoolExecutor(jobs)
        try:
            return list(pool.map(one, [BASELINE_RESULTS, *runs]))
        finally:
            pool.shutdown(cancel_futures=True)


def run_one(project: Path, overrides: Sequence[str], run: PlannedRun, threads: int = 0) -> tuple[RunResult, bool]:
    """Return the result of a run, and whether it was reused; the data must be prepared.

    This context's listener is called in the process of the run. `threads` is the number of threads of an operation of
    TensorFlow; 0: one for each processor.

    Raises:
        UserError: it failed.
        BrokenProcessPool: its process died.
    """
    directory, key = run_directory(project, overrides, run)
    kept = fresh(directory, key)
    if not kept:
        # A process for each run, so that memory is freed and TensorFlow starts anew.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=context, initializer=_end_with_parent) as pool:
            pool.submit(_heard_by, listener(), project, list(overrides), run, threads).result()
    return read_run(directory, run), kept


def _end_with_parent() -> None:
    """End this process when its parent ends, even by a kill: an orphan would write the checkpoints of a later run."""
    parent = multiprocessing.parent_process()
    if parent is None:
        raise RuntimeError("`_end_with_parent` must run in a process that multiprocessing started. Received: another.")

    def wait() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def run_directory(project: Path, overrides: Sequence[str], run: PlannedRun) -> tuple[Path, str]:
    """Return a run's directory, and its key: a digest of all that it depends on."""
    return _run_directory(_context(project, overrides, run), run)


def _run_directory(context: StageContext, run: PlannedRun) -> tuple[Path, str]:
    # Baselines depend on the examples alone, and not on the settings of training.
    depends = context.keys.evaluate
    if run == BASELINE_RESULTS:
        parts = ("project.evaluation", "project.split", "project.seed", "tasks")
        depends = context.keys.prepare + context.config.digest(*parts)
    key = short_digest(depends, json.dumps(asdict(run)))
    return context.workspace.stage(COMPARISON_FOLDER) / run.directory, key


def _heard_by(to: Listener, project: Path, overrides: Sequence[str], run: PlannedRun, threads: int) -> None:
    with listening(to):
        make_run(project, overrides, run, threads)


def make_run(project: Path, overrides: Sequence[str], run: PlannedRun, threads: int = 0) -> None:
    """Train and measure one run, and write its results; an interrupted training continues from its last epoch."""
    from unified_ranker.project.evaluate_stage import measure_contenders

    context = _context(project, overrides, run)
    directory, key = _run_directory(context, run)
    config, prepared, tasks = context.config, prepared_data(context), list(run.tasks or context.config.tasks)
    checkpoints = directory.with_name(f"{directory.name}-checkpoints")
    # A trial needs only ranks.
    whole = run.kind != "trial"
    ranks: dict[str, np.ndarray] = {}

    def keep(task: str, contenders: Sequence[Contender]) -> None:
        ranks.update({f"{task}/{c.name}": c.ranks for c in contenders})

    with fill(directory, key) as (draft, notes):
        started = time.perf_counter()
        trained, baselines = None, []
        if run == BASELINE_RESULTS:
            baselines = _fitted_baselines(prepared, config)
        else:
            if threads and not config.project.training.threads:
                _take_threads(threads)
            trained = train_model(prepared, config, run.tasks, checkpoints / context.keys.train)
            notes["curves"] = trained.curves
        notes["train_seconds"] = round(time.perf_counter() - started, 1)
        started = time.perf_counter()
        found = measure_contenders(prepared, config, tasks, trained, baselines, diagnosed=whole, keep=keep)
        diagnoses = {task.task: task.diagnosis for task in found.tasks if task.diagnosis is not None}
        notes["diagnoses"] = _DIAGNOSES.dump_python(diagnoses, mode="json")
        notes["evaluate_seconds"] = round(time.perf_counter() - started, 1)
        notes["peak_memory_mib"] = peak_memory_mib()
        notes["run"] = asdict(run)
        np.savez_compressed(draft / RANKS_FILE, **ranks)  # type: ignore[arg-type]
    shutil.rmtree(checkpoints, ignore_errors=True)


def _fitted_baselines(prepared: "Prepared", config: Config) -> "list[Baseline]":
    from unified_ranker.evaluation.baselines.selection import fit_baselines
    from unified_ranker.evaluation.protocol import fit_end

    declared = config.project.evaluation
    return fit_baselines(prepared, list(config.tasks), fit_end(prepared, config, declared.part), declared.baselines)


def _take_threads(threads: int) -> None:
    from unified_ranker.towers.tensorflow import tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)


def read_run(directory: Path, run: PlannedRun) -> RunResult:
    """Read the result that `make_run` wrote."""
    notes: dict[str, Any] = stamp_of(directory)
    ranks: dict[str, dict[str, np.ndarray]] = {}
    with np.load(directory / RANKS_FILE) as stored:
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


def _context(project: Path, overrides: Sequence[str], run: PlannedRun) -> StageContext:
    settings = run.settings if run != BASELINE_RESULTS else []
    config = load_config(project, [*overrides, *settings])
    return StageContext(Workspace(project, config), choose_tasks(config, run.tasks))
