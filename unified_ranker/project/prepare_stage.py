"""Stages `validate` and `prepare`: the checked log, and point-in-time examples made of it."""

import logging
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unified_ranker.config import TablesSource
from unified_ranker.log.check import tolerate
from unified_ranker.log.content_checks import without_quarantined
from unified_ranker.log.log_checks import require, validate_tables
from unified_ranker.project.declaration_checks import check_declarations
from unified_ranker.project.lineage import KEPT_USERS
from unified_ranker.project.log_files import with_reading
from unified_ranker.project.project_preparation import Preparation, is_large, prepare_project
from unified_ranker.project.remedies import in_terms_of
from unified_ranker.project.run_stage import run_stage
from unified_ranker.project.stage_cache import fresh
from unified_ranker.project.stage_context import StageContext, StageResult
from unified_ranker.project.workspace import Workspace
from unified_ranker.release.items import VECTORS_FILE
from unified_ranker.release.layout import Layout

if TYPE_CHECKING:
    from unified_ranker.log.check import Check
    from unified_ranker.prepare.prepared import Prepared

logger = logging.getLogger(__name__)


def validate(context: StageContext) -> "list[Check]":
    """Check data and declarations together; a log too large for memory is checked by the stages that read it."""
    if _large(context):
        return in_terms_of(_preparation(context).checks(), context.config.project.data)
    tables = context.workspace.read_tables()
    now = datetime.now(UTC)
    log, checks = validate_tables(tables.events, tables.items, tables.users, now=now)
    data = context.config.project.data
    if isinstance(data, TablesSource):
        checks = with_reading(context.workspace.log_tables.read.checks(data.max_bad_share), checks)
    if log is not None:
        declared = check_declarations(context.config, without_quarantined(log, now))
        checks = tolerate([*checks, *declared], data.max_bad_share)
    context.memory.checked = not any(check.failed for check in checks)
    return in_terms_of(checks, data)


def prepare_stage(context: StageContext) -> StageResult:
    """Make point-in-time examples.

    Raises:
        UserError: a check of data or declarations fails.
    """

    def make(draft: Path, notes: dict[str, Any]) -> str:
        if not context.memory.checked and not _large(context):
            require(validate(context))
        notes["rows"] = prepare_project(_preparation(context), draft, logger.warning)
        return ", ".join(f"{notes['rows'][name]:,} {name}" for name in ("events", "items", "users", "examples"))

    result = run_stage(context, "prepare", context.keys.prepare, make)
    if context.memory.preparation is not None and not result.skipped:
        context.memory.preparation.clear()
    return result


def prepared_data(context: StageContext) -> "Prepared":
    """Return the prepared data, made now where they are not up to date."""
    from unified_ranker.prepare.prepared import Prepared

    if context.memory.prepared is None:
        prepare_stage(context)
        context.memory.prepared = Prepared.load(context.workspace.stage("prepare"))
    return context.memory.prepared


def prepared_for_reading(workspace: Workspace) -> "Prepared":
    """Return the prepared data of a project without writing any: for commands that read it."""
    from unified_ranker.prepare.prepared import Prepared

    directory, context = workspace.stage("prepare"), StageContext(workspace)
    if fresh(directory, context.keys.prepare):
        return Prepared.load(directory)
    with tempfile.TemporaryDirectory() as scratch:
        there = workspace.config.project.model_copy(update={"work_dir": Path(scratch)})
        if isinstance(there.data, TablesSource):
            # Databases are not asked again for a scratch directory.
            there = there.model_copy(update={"data": workspace.local_data})
        elsewhere = replace(workspace, config=workspace.config.model_copy(update={"project": there}))
        return prepared_data(StageContext(elsewhere))


def _preparation(context: StageContext) -> Preparation:
    """Return the job that prepares the log, with what an interrupted run has finished of it."""
    memory, since = context.memory, context.lineage.read("since")
    if memory.preparation is None:
        known = None if since is None else (Layout(since).items / VECTORS_FILE, since / KEPT_USERS)
        memory.preparation = Preparation(context.workspace, context.keys.prepare, context.engine, known)
    return memory.preparation


def _large(context: StageContext) -> bool:
    if context.memory.large is None:
        context.memory.large = is_large(context.config, context.workspace)
    return context.memory.large
