"""Event log of the project that a release belongs to: where its users' histories come from."""

from collections.abc import Callable
from pathlib import Path

from unified_ranker.config.loading import load_config
from unified_ranker.core.errors import UserError
from unified_ranker.prepare.log_history import LogHistory
from unified_ranker.project.stages import Pipeline
from unified_ranker.project.workspace import Workspace, project_of
from unified_ranker.release.manifest import read_manifest


def project_log(release: Path, project: Path | None, remark: Callable[[str], None]) -> LogHistory | None:
    """Open the event log of `project`, or of the release's own; None where the release has left its project.

    Args:
        release: its directory.
        project: the project's; None: the one in whose `releases_dir` the release lies.
        remark: is told when there is no log, or another one than the release was made from.

    Raises:
        UserError: `project` is another project than the release's, or its data cannot be read.
    """
    manifest = read_manifest(release)
    if project is not None:
        workspace = Workspace(project.resolve(), load_config(project))
        name = workspace.config.project.name
        if name != manifest.project:
            raise UserError(
                f"`--project` must be the project of the release, `{manifest.project}`. Received: `{project}`, "
                f"which is `{name}`: its users and items are others. Name the right one, or leave the option out."
            )
    else:
        # The release's own declarations: they name the tables even where `--set` did.
        config = manifest.config
        root = project_of(release, config)
        if not (root / "project.yaml").is_file():
            remark(f"{root} is no project, so there are no histories; name one with --project")
            return None
        workspace = Workspace(root, config)
    pipeline = Pipeline(workspace)
    if project is not None and manifest.data is not None and pipeline.data_key != manifest.data.checksum:
        remark(f"the data of {project} are not those that the release was made from")
    return LogHistory(pipeline.read_prepared())
