"""The stages of a project, each skipped while its output is up to date: validate, prepare, train, evaluate, export.

A stage's key hashes what it depends on: its part of the declarations and the key of the stage before. The data
checksum begins the chain, so a changed row or a changed setting makes again exactly what it reaches.
"""

import contextlib
import logging
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unified_ranker.config import Config, Task
from unified_ranker.core.digests import short_digest
from unified_ranker.core.errors import unknown_name
from unified_ranker.core.files import clear_drafts, require_writable
from unified_ranker.core.locks import lock
from unified_ranker.engines.by_name import EngineChoice
from unified_ranker.prepare.prepared_by import PREPARED_BY, PREPARED_BY_TASK, parts_of_tasks
from unified_ranker.project.lineage import Lineage
from unified_ranker.project.workspace import Workspace, fill, fresh, stamp_of

if TYPE_CHECKING:
    from unified_ranker.log.check import Check
    from unified_ranker.prepare.prepared import Prepared
    from unified_ranker.project.project_preparation import Preparation
    from unified_ranker.training.trained import TrainedModel

logger = logging.getLogger(__name__)

ENGINE_FORMAT = "3"
"""Raised when what a stage writes changes its form, so that older outputs are made again."""

STAGES = ("prepare", "train", "evaluate", "export")
TRAINED_BY = ("project.seed", "project.split", "project.training", "towers")
NOT_TRAINED_BY_TASK = frozenset({"description", "derived", "exclude_engaged", "score", "serving"})
"""Of each task's file: what the model does not see while it is trained."""


@dataclass(frozen=True)
class StageResult:
    """Result of a stage: whether it was up to date, its seconds, its output, and a line to show."""

    name: str
    skipped: bool
    seconds: float
    output: Path
    summary: str


@dataclass
class Pipeline:
    """Runs stages over a workspace and keeps what they made in memory for the next one.

    A stage runs at most once, however often it is asked for.

    Attributes:
        workspace: the project.
        tasks: train and evaluate these only, in the order of their declaration; all when empty.
        force: stages to run again although they are up to date.
        engine: what carries the preparation.
    """

    workspace: Workspace
    tasks: tuple[str, ...] = ()
    force: Collection[str] = ()
    engine: EngineChoice = field(default_factory=EngineChoice)
    results: list[StageResult] = field(default_factory=list)
    _claimed: bool = field(default=False, init=False, repr=False)

    def __post_init__(self) -> None:
        """Check the chosen tasks; all of them are the same choice as none."""
        for task in self.tasks:
            if task not in self.config.tasks:
                raise unknown_name("task", task, self.config.tasks, "--tasks")
        chosen = tuple(name for name in self.config.tasks if name in self.tasks)
        self.tasks = () if len(chosen) == len(self.config.tasks) else chosen

    @property
    def config(self) -> Config:
        """The project's declarations."""
        return self.workspace.config

    # --- keys -----------------------------------------------------------------------------------------------------

    @cached_property
    def lineage(self) -> Lineage:
        """The releases that this project goes on from."""
        return Lineage(self.workspace.work)

    @cached_property
    def data_key(self) -> str:
        """Checksum of the data files."""
        return self.workspace.data_checksum()

    @cached_property
    def prepare_key(self) -> str:
        """Key of the prepared data."""
        digest = self._digest(PREPARED_BY, PREPARED_BY_TASK)
        return short_digest(ENGINE_FORMAT, self.data_key, digest, *self.lineage.key("since"))

    @cached_property
    def train_key(self) -> str:
        """Key of the trained model."""
        fields = Task.model_fields.keys() - NOT_TRAINED_BY_TASK
        return short_digest(self.prepare_key, self._digest(TRAINED_BY, fields), *self.tasks, *self.lineage.key("start"))

    @cached_property
    def evaluate_key(self) -> str:
        """Key of the evaluation."""
        fields = Task.model_fields.keys() - {"description"}
        return short_digest(self.train_key, self._digest(["project.evaluation"], fields))

    @cached_property
    def export_key(self) -> str:
        """Key of the release."""
        return short_digest(self.evaluate_key, self.config.digest())

    def _digest(self, parts: Iterable[str], of_each_task: frozenset[str] | set[str]) -> str:
        return self.config.digest(*parts, *parts_of_tasks(self.config, of_each_task))

    # --- one run at a time ----------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def claimed(self, *, releases: bool = False) -> Iterator[None]:
        """Keep other runs out of the work directory, and clear away what killed ones left; claims nest.

        Every stage that writes claims it; a command claims it first, to be refused before it has done anything.

        Args:
            releases: whether a release is to be written, so that its directory must take it.

        Raises:
            UserError: another run has it, or a directory cannot be written.
        """
        if self._claimed:
            yield
            return
        if releases:
            require_writable(self.workspace.releases, "project.releases_dir")
        with lock(self.workspace.work, ".lock", "building", "project.work_dir"):
            for name in STAGES:
                clear_drafts(self.workspace.work, name)
            self._claimed = True
            try:
                yield
            finally:
                self._claimed = False

    # --- stages ---------------------------------------------------------------------------------------------------

    def validate(self) -> "list[Check]":
        """Check data and declarations together; keeps the log for the next stage."""
        from unified_ranker.log.log_checks import validate_tables
        from unified_ranker.project.declaration_checks import check_declarations
        from unified_ranker.project.project_preparation import tolerate

        if self.large:
            return self.preparation.checks()
        tables = self.workspace.read_tables()
        log, checks = validate_tables(tables.events, tables.items, tables.users)
        if log is not None:
            checks = tolerate([*checks, *check_declarations(self.config, log)], self.config)
        self.__dict__["checked"] = not any(check.failed for check in checks)
        return checks

    def prepare(self) -> StageResult:
        """Make point-in-time examples."""

        def make(draft: Path, notes: dict[str, Any]) -> str:
            if not self.large:
                self.require_checked()
            notes["rows"] = _prepare(self.preparation, draft)
            return ", ".join(f"{notes['rows'][name]:,} {name}" for name in ("events", "items", "users", "examples"))

        result = self._run("prepare", self.prepare_key, make)
        if not result.skipped:
            self.preparation.clear()
        return result

    def train(self) -> StageResult:
        """Train the joint model, or the chosen tasks of it; resumes an interrupted training."""
        checkpoints = self.workspace.work / "checkpoints" / self.train_key

        def make(draft: Path, notes: dict[str, Any]) -> str:
            from unified_ranker.project.lever_checks import require_levers

            require_levers(self.prepared, self.config, self.tasks)
            # Behind what may refuse: TensorFlow takes seconds to import.
            from unified_ranker.evaluation.calibrate import calibrate
            from unified_ranker.training.continuing import read_start
            from unified_ranker.training.trained_files import save_trained
            from unified_ranker.training.training_job import train

            start = self.lineage.read("start")
            trained = self.__dict__["trained"] = train(
                self.prepared, self.config, checkpoints, self.tasks, start=read_start(start) if start else None
            )
            calibrate(trained, self.prepared, self.tasks)
            save_trained(trained, draft)
            notes["curves"] = trained.curves
            return f"{self.config.project.training.epochs} epochs, loss {trained.curves['loss'][-1]:.3f}"

        result = self._run("train", self.train_key, make)
        shutil.rmtree(checkpoints, ignore_errors=True)
        return result

    def evaluate(self) -> StageResult:
        """Measure the model and the baselines on the test slice and write the report."""

        def make(draft: Path, notes: dict[str, Any]) -> str:
            from unified_ranker.project.reporting import evaluate_project

            return evaluate_project(self, draft)

        return self._run("evaluate", self.evaluate_key, make)

    def export(self) -> StageResult:
        """Write a release, unless the newest one is of these declarations and this data."""
        from unified_ranker.release.layout import point_latest

        started = time.perf_counter()
        current = self._newest_release()
        if current is not None and "export" not in self.force:
            # Where a build was stopped between writing the release and pointing at it.
            point_latest(self.workspace.releases, int(current.name))
            return self._note(StageResult("export", True, 0.0, current, f"release {current.name} is up to date"))
        from unified_ranker.project.releasing import export_release

        with self.claimed(releases=True):
            release = export_release(self)
        seconds = time.perf_counter() - started
        return self._note(StageResult("export", False, seconds, release, f"release {release.name}"))

    def verify(self, release: Path) -> StageResult:
        """Walk the chain of a release."""
        from unified_ranker.release.verify_release import verify_release

        started = time.perf_counter()
        lines = verify_release(release)
        seconds = time.perf_counter() - started
        return self._note(StageResult("verify", False, seconds, release, f"{len(lines)} links hold"))

    # --- what they made -------------------------------------------------------------------------------------------

    @cached_property
    def large(self) -> bool:
        """Tells whether the log is so large that it is checked and prepared from its files."""
        from unified_ranker.project.project_preparation import is_large

        return is_large(self.config, self.workspace)

    @cached_property
    def preparation(self) -> "Preparation":
        """The job that prepares the log, with what an interrupted run has finished of it."""
        from unified_ranker.project.project_preparation import Preparation

        since = self.lineage.read("since")
        known = None if since is None else (since / "items" / "vectors.parquet", since / "training" / "users.parquet")
        return Preparation(self.workspace, self.prepare_key, self.engine, known)

    def require_checked(self) -> None:
        """Check the log, unless that has been done.

        Raises:
            UserError: when a check fails.
        """
        from unified_ranker.log.log_checks import require

        if not self.__dict__.get("checked"):
            require(self.validate())

    @cached_property
    def prepared(self) -> "Prepared":
        """The prepared data, made now if it is not up to date."""
        from unified_ranker.prepare.prepared import Prepared

        self.prepare()
        return Prepared.load(self.workspace.stage("prepare"))

    def read_prepared(self) -> "Prepared":
        """Return the prepared data without writing any: for commands that read a project."""
        from unified_ranker.prepare.prepared import Prepared

        directory = self.workspace.stage("prepare")
        if fresh(directory, self.prepare_key):
            return Prepared.load(directory)
        with tempfile.TemporaryDirectory() as scratch:
            there = self.config.project.model_copy(update={"work_dir": Path(scratch)})
            config = self.config.model_copy(update={"project": there})
            return Pipeline(Workspace(self.workspace.project, config)).prepared

    @cached_property
    def trained(self) -> "TrainedModel":
        """The trained model, trained now if it is not up to date."""
        from unified_ranker.training.trained_files import load_trained

        self.train()
        return self.__dict__.get("trained") or load_trained(self.workspace.stage("train"), self.prepared, self.config)

    def stamp(self, stage: str) -> dict[str, Any]:
        """Return what a finished stage wrote down: its key, seconds, peak memory and notes."""
        return stamp_of(self.workspace.stage(stage))

    def _run(self, name: str, key: str, make: Callable[[Path, dict[str, Any]], str]) -> StageResult:
        for earlier in self.results:
            if earlier.name == name:
                return earlier
        directory = self.workspace.stage(name)
        if fresh(directory, key) and name not in self.force:
            return self._note(StageResult(name, True, 0.0, directory, stamp_of(directory)["summary"]))
        started = time.perf_counter()
        with self.claimed(), fill(directory, key) as (draft, notes):
            notes["summary"] = make(draft, notes)
            notes["seconds"] = round(time.perf_counter() - started, 2)
            notes["peak_memory_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        return self._note(StageResult(name, False, notes["seconds"], directory, notes["summary"]))

    def _newest_release(self) -> Path | None:
        """Return the newest release if it has the present key.

        An older one does not count: going back to earlier declarations is a new release, whose parent is the one it
        replaces, so that `latest` is always what was built last.
        """
        from unified_ranker.release.layout import next_version
        from unified_ranker.release.manifest import read_manifest

        newest = self.workspace.releases / str(next_version(self.workspace.releases) - 1)
        if not newest.is_dir() or read_manifest(newest).build_key != self.export_key:
            return None
        return newest

    def _note(self, result: StageResult) -> StageResult:
        self.results.append(result)
        logger.info("%s: %s (%.1f s)", result.name, result.summary, result.seconds)
        return result


def _prepare(preparation: "Preparation", draft: Path) -> dict[str, int]:
    from unified_ranker.project.project_preparation import prepare_project

    return prepare_project(preparation, draft, logger.warning)
