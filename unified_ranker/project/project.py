"""Project: the stages of a project for notebooks and jobs, the same as on the command line."""

import contextlib
import json
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow.parquet as pq

from unified_ranker.config import Config
from unified_ranker.config.loading import load_config
from unified_ranker.core.errors import UserError
from unified_ranker.core.files import made_directory, whole_directory
from unified_ranker.core.progress import Listener
from unified_ranker.core.progress_display import shown_by
from unified_ranker.evaluation.results import Evaluation
from unified_ranker.log.check import Check
from unified_ranker.log.given_tables import arrow_table
from unified_ranker.log.log_checks import require
from unified_ranker.log.schema import Table
from unified_ranker.project.init.write_project import init_project, require_free
from unified_ranker.project.prepare_stage import prepare_stage, validate
from unified_ranker.project.stage_context import STAGES, StageContext, StageResult, choose_tasks
from unified_ranker.project.stages import build
from unified_ranker.project.train_stage import train_stage
from unified_ranker.project.workspace import Workspace
from unified_ranker.release.layout import release_numbers

TABLES_FOLDER = "data"
"""Directory of the tables in a project made from tables."""


class Project:
    """Project in a directory, with its stages; each is skipped while its output is up to date.

    Declarations and data are read anew for each stage, so that a changed file counts from the next call on.
    TensorFlow is loaded by `train` and later stages.

    Example:
        project = Project("shop", {"project.training.epochs": 1})
        release = project.build()

    Attributes:
        directory: the project's.
    """

    def __init__(
        self,
        directory: str | Path = ".",
        overrides: Mapping[str, object] | Sequence[str] = (),
        *,
        tasks: Sequence[str] = (),
        progress: Listener | None = None,
    ) -> None:
        """Open a project.

        Args:
            directory: holds project.yaml.
            overrides: declarations to replace, by path, such as `project.training.epochs`; or texts of the form
                `path=value`, as `--set` takes them.
            tasks: train, evaluate and export these only; all when empty.
            progress: is called with the progress of long work. None: a bar at a terminal or in a notebook, and a line
                a minute elsewhere, on standard error.

        Raises:
            UserError: there is no project, a declaration is wrong, or a task is unknown.
        """
        self.directory = Path(directory).resolve()
        self._overrides = _override_texts(overrides)
        self._tasks, self._progress = tuple(tasks), progress
        choose_tasks(self.config, self._tasks)

    @classmethod
    def from_tables(
        cls,
        events: Table,
        items: Table | None = None,
        users: Table | None = None,
        *,
        directory: str | Path,
        overrides: Mapping[str, object] | Sequence[str] = (),
        tasks: Sequence[str] = (),
        progress: Listener | None = None,
    ) -> "Project":
        """Write a project for tables in memory, as `unified-ranker init` does for files, and open it.

        The tables are written to `data/` in the directory, as Parquet. The declarations have comments with the reason
        for each value. After an error nothing is left behind.

        Example:
            project = Project.from_tables(events, items, users, directory="market")
            sorted(file.name for file in project.directory.iterdir())

        Args:
            events: `[events, columns]`: `user_id`, `item_id`, `task`, `event_type`, `timestamp`, and more
                (docs/reference/interaction-log.md), or columns of other names that are clear; pandas or Arrow.
            items: `[items, columns]`: `item_id` and features; None takes the items from the events.
            users: `[users, columns]`: `user_id` and features; None takes the users from the events.
            directory: where to; it must hold no project.
            overrides: as for `Project`.
            tasks: as for `Project`.
            progress: as for `Project`.

        Raises:
            UserError: the directory holds a project, the tables are not those of a log, or a column is in doubt.
        """
        root = Path(directory)
        given = {"events": events, "items": items, "users": users}
        tables = {name: arrow_table(name, table) for name, table in given.items() if table is not None}
        require_free(root)
        if (root / TABLES_FOLDER).exists():
            raise UserError(
                f"`{root / TABLES_FOLDER}` must not exist: the tables are written there. Received: an existing path. "
                "Move it away, or choose another directory."
            )
        with made_directory(root, "directory"), _all_or_nothing(root):
            with whole_directory(root / TABLES_FOLDER) as draft:
                for name, table in tables.items():
                    pq.write_table(table, draft / f"{name}.parquet")
            files = {name: root / TABLES_FOLDER / f"{name}.parquet" for name in tables}
            init_project(root, files["events"], files.get("items"), files.get("users"))
            return cls(root, overrides, tasks=tasks, progress=progress)

    def __repr__(self) -> str:
        """Return how the project was opened."""
        return f"Project({str(self.directory)!r})"

    @property
    def config(self) -> Config:
        """The declarations as they are now, overrides included.

        Example:
            Project("shop").config.project.training.epochs

        Raises:
            UserError: a declaration is wrong.
        """
        return load_config(self.directory, self._overrides)

    @property
    def releases(self) -> list[Path]:
        """Directories of the project's releases, the newest last.

        Example:
            newest = Project("shop").releases[-1]
        """
        releases = Workspace(self.directory, self.config).releases
        return [releases / str(number) for number in release_numbers(releases)]

    def validate(self) -> list[Check]:
        """Check data and declarations together.

        Example:
            for check in Project("shop").validate():
                print(check.line())
        """
        with self._running(ask=True) as context:
            return validate(context)

    def prepare(self, *, force: bool = False) -> StageResult:
        """Make point-in-time examples.

        Example:
            Project("shop").prepare().summary

        Args:
            force: whether to run although the output is up to date; likewise for the other stages.

        Raises:
            UserError: a check of data or declarations fails.
        """
        with self._running(("prepare",) if force else (), ask=True) as context:
            return prepare_stage(context)

    def train(self, *, force: bool = False) -> StageResult:
        """Train the model, after the stages before; an interrupted training continues from its last epoch.

        Example:
            Project("shop").train().seconds
        """
        with self._running(("train",) if force else ()) as context:
            return train_stage(context)

    def evaluate(self, *, force: bool = False) -> Evaluation:
        """Measure the model and the baselines over the full catalogue, after the stages before.

        Example:
            Project("shop").evaluate().to_frame()
        """
        from unified_ranker.project.evaluate_stage import evaluate_stage, read_evaluation

        with self._running(("evaluate",) if force else ()) as context:
            evaluate_stage(context)
            return read_evaluation(context)

    def export(self, *, force: bool = False) -> Path:
        """Write a release, after the stages before, and return its directory.

        Example:
            Project("shop").export() / "report.html"
        """
        from unified_ranker.project.export_stage import export_stage

        with self._running(("export",) if force else ()) as context:
            return export_stage(context).output

    def build(self, *, force: bool = False, require_baseline: bool = False) -> Path:
        """Run all stages, verify the release, and return its directory.

        Example:
            recommender = Recommender(Project("shop").build())

        Args:
            force: whether to run stages although they are up to date.
            require_baseline: whether a task below its best baseline is an error; then no release is written.

        Raises:
            UserError: a check of data or declarations fails, another run has the project, or a directory cannot be
                written; or a task is below its best baseline and `require_baseline` is set.
        """
        with self._running(STAGES if force else (), ask=True) as context:
            return build(context, require, require_baseline=require_baseline)[-1].output

    @contextlib.contextmanager
    def _running(self, force: Collection[str] = (), ask: bool = False) -> Iterator[StageContext]:
        """Give a context for the declarations as they are now, and show the progress of what runs in it.

        With `ask`, databases are asked although their answers are kept.
        """
        with shown_by(self._progress):
            workspace = Workspace(self.directory, self.config, ask)
            yield StageContext(workspace, choose_tasks(workspace.config, self._tasks), force)


def _override_texts(overrides: Mapping[str, object] | Sequence[str]) -> list[str]:
    """Return overrides as `--set` takes them; JSON is YAML, too."""
    if isinstance(overrides, str):
        raise UserError(f"`overrides` must be a mapping or a list of texts. Received: `{overrides}`. Put it in a list.")
    if not isinstance(overrides, Mapping):
        return list(overrides)
    return [f"{path}={json.dumps(value, ensure_ascii=False, default=str)}" for path, value in overrides.items()]


@contextlib.contextmanager
def _all_or_nothing(directory: Path) -> Iterator[None]:
    """Remove what a failing block wrote into a directory."""
    before = set(directory.iterdir())
    try:
        yield
    except BaseException:
        for path in set(directory.iterdir()) - before:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        raise
