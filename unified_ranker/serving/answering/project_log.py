"""Event log of a release's project, the source of its users' histories."""

from collections.abc import Callable
from pathlib import Path

from unified_ranker.prepare.log_history import LogHistory
from unified_ranker.project.prepare_stage import prepared_for_reading
from unified_ranker.project.release_project import find_project, words_for_no_project
from unified_ranker.release.manifest import read_manifest


def project_log(release: Path, project: Path | None, remark: Callable[[str], None]) -> LogHistory | None:
    """Open the event log of `project`, or of the release's own; None where the release's project is not found.

    Args:
        release: its directory.
        project: the project's; None: the release's own.
        remark: is called with a line if there is no log, or if its data differ from the release's.

    Raises:
        UserError: `project` is another project than the release's, or its data cannot be read.
    """
    manifest, workspace = read_manifest(release), find_project(release, project)
    if workspace is None:
        remark(f"users have no histories: {words_for_no_project(release, manifest)}")
        return None
    if project is not None and manifest.data is not None and workspace.data_checksum() != manifest.data.checksum:
        remark(f"the data of {project} are not those that the release was made from")
    return LogHistory(prepared_for_reading(workspace))
