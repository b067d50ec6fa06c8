"""Keys of a project's stages: digests of all that a stage depends on.

That is its part of the declarations and the key of the stage before; the first key includes the checksums of the data
and of the extensions' files. So a changed row or setting makes exactly those stages run again that depend on it, and
changed code all of them.
"""

from dataclasses import dataclass
from functools import cached_property

from unified_ranker.config import Config, Task
from unified_ranker.core.digests import sha256, short_digest
from unified_ranker.core.extensions import extension_files
from unified_ranker.prepare.prepared_by import PREPARED_BY, PREPARED_BY_TASK, parts_of_tasks
from unified_ranker.project.lineage import Lineage
from unified_ranker.project.workspace import Workspace

OUTPUT_FORMAT = "6"
"""Raised when the format of a stage's output changes, so that older outputs are made again."""
TRAINED_BY = ("project.seed", "project.split", "project.training", "towers")
NOT_TRAINED_BY_TASK = frozenset({"description", "derived", "exclude_engaged", "score", "serving"})
"""Fields of each task's file that training does not depend on."""


@dataclass(frozen=True)
class StageKeys:
    """Keys of the stages, each computed on first use.

    Attributes:
        workspace: the project.
        tasks: the chosen ones; all when empty.
    """

    workspace: Workspace
    tasks: tuple[str, ...] = ()

    @cached_property
    def data(self) -> str:
        """Checksum of the data files."""
        return self.workspace.data_checksum()

    @cached_property
    def prepare(self) -> str:
        """Key of the prepared data."""
        digest = self._digest(PREPARED_BY, PREPARED_BY_TASK)
        return short_digest(OUTPUT_FORMAT, self.data, digest, *self._extensions, *self._lineage.key("since"))

    @cached_property
    def train(self) -> str:
        """Key of the trained model."""
        digest = self._digest(TRAINED_BY, Task.model_fields.keys() - NOT_TRAINED_BY_TASK)
        return short_digest(self.prepare, digest, *self.tasks, *self._lineage.key("start"))

    @cached_property
    def evaluate(self) -> str:
        """Key of the evaluation."""
        digest = self._digest(("project.evaluation",), Task.model_fields.keys() - {"description"})
        return short_digest(self.train, digest)

    @cached_property
    def export(self) -> str:
        """Key of the release."""
        return short_digest(self.evaluate, self._config.digest())

    @property
    def _extensions(self) -> list[str]:
        """SHA-256 of the files of the project's extensions."""
        files = extension_files(self._config.project.extensions, self.workspace.project)
        return [sha256(file) for file in files.values()]

    @property
    def _config(self) -> Config:
        return self.workspace.config

    @property
    def _lineage(self) -> Lineage:
        return Lineage(self.workspace.work)

    def _digest(self, parts: tuple[str, ...], of_each_task: frozenset[str] | set[str]) -> str:
        return self._config.digest(*parts, *parts_of_tasks(self._config, of_each_task))
