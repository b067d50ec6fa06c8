"""A release whose index is of a kind that a project's own file registers."""

import json

from release_toy import make_release, seal

from unified_ranker.release.carried_extensions import write_extensions
from unified_ranker.release.layout import RELEASE_MANIFEST

MODULES = ("slow_index", "slow_words")
INDEX = """
from typing import Literal

from slow_words import SAYS
from unified_ranker.release.indexes.base import INDEXES
from unified_ranker.release.indexes.exact import ExactIndex


@INDEXES.declare
class SlowIndex(ExactIndex):
    type: Literal["slow"]

    @property
    def says(self) -> str:
        return SAYS
"""


def write_modules(directory, says="slow"):
    """Write the extension and the module that it imports, as they lie beside project.yaml."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "slow_index.py").write_text(INDEX)
    (directory / "slow_words.py").write_text(f"SAYS = {says!r}\n")
    return directory


def extended_release(releases, prepared, config, project):
    """Write the next release, as the export of `project` would leave it."""
    release = make_release(releases, prepared, config)
    tree = json.loads((release / RELEASE_MANIFEST).read_text())
    tree["config"]["project"]["extensions"] = ["slow_index"]
    tree["config"]["export"]["embeddings"]["index"] = {"type": "slow"}
    tree["extensions"] = [one.model_dump() for one in write_extensions(release, ["slow_index"], project)]
    (release / RELEASE_MANIFEST).write_text(json.dumps(tree))
    seal(release)
    return release
