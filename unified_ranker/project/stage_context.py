"""Context of the stages: the project and the choices of one run, and what its stages have made so far."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from unified_ranker.config import Config
from unified_ranker.core.errors import unknown_name
from unified_ranker.engines.by_name import EngineChoice
from unified_ranker.project.lineage import Lineage
from unified_ranker.project.stage_keys import StageKeys
from unified_ranker.project.workspace import Workspace

if TYPE_CHECKING:
    from unified_ranker.prepare.prepared import Prepared
    from unified_ranker.project.project_preparation import Preparation
    from unified_ranker.training.trained import TrainedModel


STAGES = ("prepare", "train", "evaluate", "export")
"""The stages of a build, in order."""


@dataclass(frozen=True)
class StageResult:
    """Result of a stage: whether it was up to date, its seconds, its output, and a line to show."""

    name: str
    skipped: bool
    seconds: float
    output: Path
    summary: str


@dataclass
class StageMemory:
    """Results of the stages of one run, kept so that a stage runs once and the next one need not read its output.

    Attributes:
        results: of the stages that ran or were up to date, in order.
        prepared: the prepared data.
        trained: the trained model.
        large: whether the log is checked and prepared from its files, for its size.
        preparation: the job that prepares the log.
        checked: whether data and declarations have passed their checks.
        working: whether the run holds the lock of the work directory.
    """

    results: list[StageResult] = field(default_factory=list)
    prepared: "Prepared | None" = None
    trained: "TrainedModel | None" = None
    large: bool | None = None
    preparation: "Preparation | None" = None
    checked: bool = False
    working: bool = False


@dataclass(frozen=True)
class StageContext:
    """Everything that a stage reads beside its input.

    Attributes:
        workspace: the project.
        tasks: train and evaluate these only, in the order of their declaration; all when empty (see `choose_tasks`).
        force: stages to run again although they are up to date.
        engine: that runs the preparation.
        memory: what the stages of this run have made.
    """

    workspace: Workspace
    tasks: tuple[str, ...] = ()
    force: Collection[str] = ()
    engine: EngineChoice = field(default_factory=EngineChoice)
    memory: StageMemory = field(default_factory=StageMemory, repr=False, compare=False)

    @property
    def config(self) -> Config:
        """The project's declarations."""
        return self.workspace.config

    @property
    def lineage(self) -> Lineage:
        """The releases that this project continues from."""
        return Lineage(self.workspace.work)

    @cached_property
    def keys(self) -> StageKeys:
        """The keys of the stages."""
        return StageKeys(self.workspace, self.tasks)


def choose_tasks(config: Config, names: Sequence[str]) -> tuple[str, ...]:
    """Return the named tasks in the order of their declaration; none where all are named, which is the same choice.

    Raises:
        UserError: a name is no task.
    """
    for name in names:
        if name not in config.tasks:
            raise unknown_name("task", name, config.tasks, "--tasks")
    chosen = tuple(name for name in config.tasks if name in names)
    return () if len(chosen) == len(config.tasks) else chosen
