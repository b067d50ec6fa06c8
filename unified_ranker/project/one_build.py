"""Lock of a project's work directory for one run at a time."""

import contextlib
from collections.abc import Iterator

from unified_ranker.core.files import clear_drafts, require_writable
from unified_ranker.core.locks import lock
from unified_ranker.project.stage_context import STAGES, StageContext


@contextlib.contextmanager
def one_build(context: StageContext, *, releases: bool = False) -> Iterator[None]:
    """Lock the work directory for the time of a block, and remove what killed runs left; a nested call does nothing.

    Every stage that writes calls it. A command calls it first, so that it is refused before it has done anything.

    Args:
        context: of the run.
        releases: whether a release will be written, so that its directory is checked.

    Raises:
        UserError: another run has the work directory, or a directory cannot be written.
    """
    if context.memory.working:
        yield
        return
    workspace = context.workspace
    if releases:
        require_writable(workspace.releases, "project.releases_dir")
    with lock(workspace.work, ".lock", "building", "project.work_dir"):
        for name in STAGES:
            clear_drafts(workspace.work, name)
        context.memory.working = True
        try:
            yield
        finally:
            context.memory.working = False
