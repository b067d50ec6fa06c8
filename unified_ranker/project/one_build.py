"""One build of a project at a time, and a tidy work directory for it."""

import contextlib
from collections.abc import Iterator

from unified_ranker.core.files import clear_drafts, require_writable
from unified_ranker.core.locks import lock
from unified_ranker.project.stage_context import STAGES, StageContext


@contextlib.contextmanager
def one_build(context: StageContext, *, releases: bool = False) -> Iterator[None]:
    """Keep other runs out of the work directory, and clear away what killed ones left; within itself it does nothing.

    Every stage that writes asks for it; a command asks first, to be refused before it has done anything.

    Args:
        context: of the run.
        releases: whether a release is to be written, so that its directory must take it.

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
