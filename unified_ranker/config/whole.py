"""A whole project, and the hashes of its parts."""

import json
from typing import Any

from pydantic import Field

from unified_ranker.config.declaration import Declaration
from unified_ranker.config.export_files import Export
from unified_ranker.config.project_file import ProjectFile
from unified_ranker.config.task_files import Task
from unified_ranker.config.tower_files import Towers
from unified_ranker.core.digests import short_digest


class Config(Declaration):
    """A whole project: project.yaml, towers/, tasks/ and export/."""

    project: ProjectFile
    """project.yaml."""
    towers: Towers = Field(default_factory=Towers)
    """The files of towers/."""
    tasks: dict[str, Task] = Field(min_length=1)
    """The files of tasks/, by name."""
    export: Export = Field(default_factory=Export)
    """The files of export/."""

    @property
    def heads(self) -> tuple[str, ...]:
        """All head names: those of the tasks' positives in order of the tasks, then others of towers/ranker.yaml."""
        return tuple(dict.fromkeys([*self.event_heads, *self.towers.ranker.heads]))

    @property
    def event_heads(self) -> tuple[str, ...]:
        """The heads that positives name, in order of the tasks."""
        return tuple(dict.fromkeys(h for t in self.tasks.values() for h in t.heads))

    @property
    def query_dim(self) -> int:
        """Width of query and item vectors: embedding plus quality."""
        return self.towers.item.dim + len(self.towers.item.quality)

    def to_json(self) -> dict:
        """Return the full configuration, defaults included, as JSON values."""
        return self.model_dump(mode="json")

    def digest(self, *parts: str) -> str:
        """Return the SHA-256 (first 16 hex digits) of the named parts, such as "tasks", or of everything.

        A part is a dotted path into the configuration; stages hash only what they depend on.
        """
        return digest_of(self.to_json(), *parts)


def digest_of(tree: dict[str, Any], *parts: str) -> str:
    """Return `Config.digest` of a configuration as it was written to a file.

    A configuration of an earlier version lacks settings that were added since: read as a `Config`, it would have their
    defaults, and another hash.
    """
    chosen = {p: _descend(tree, p) for p in parts} if parts else dict(tree)
    if not parts or "towers" in parts:
        # Keys are sorted, but the order of the quality features is that of the vector's columns.
        chosen["quality_order"] = list(tree["towers"]["item"]["quality"])
    return short_digest(json.dumps(chosen, sort_keys=True))


def _descend(tree: dict, path: str) -> object:
    node: object = tree
    for key in path.split("."):
        node = node[key]  # type: ignore[index]
    return node
