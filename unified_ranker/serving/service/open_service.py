"""Opening a ranking service: everything that must belong together is checked before the first request."""

import logging
from pathlib import Path

from unified_ranker.core.errors import UserError
from unified_ranker.events.base import HistoryReader, HistoryStore
from unified_ranker.prepare.log_history import log_lines
from unified_ranker.prepare.prepared import Prepared
from unified_ranker.project.release_project import (
    find_prepared_files,
    find_project,
    words_for_no_data,
    words_for_no_project,
)
from unified_ranker.release.index import load_index
from unified_ranker.release.layout import Layout
from unified_ranker.release.manifest import read_manifest
from unified_ranker.serving.answering.opened_release import OpenedRelease
from unified_ranker.serving.backends.base import ModelBackend, ModelBackendError
from unified_ranker.serving.service.pairing import require_pair, wrong_version
from unified_ranker.serving.service.ranking_service import DEADLINE, RankingService
from unified_ranker.serving.service.service_metrics import ServiceMetrics
from unified_ranker.serving.service.verification import Verification

MODEL_SERVER_SECONDS = 30.0
"""Seconds to wait for a model server to have the release's version AVAILABLE."""

logger = logging.getLogger(__name__)


def open_release(release: Path) -> OpenedRelease:
    """Open a release while its whole chain is walked.

    Raises:
        UserError: it is no release, or a link of its chain does not hold, which the message names.
    """
    verification = Verification(release)
    try:
        opened = OpenedRelease.open(release)
    except Exception:
        verification.require()  # names the broken link, because of which it could not be opened
        raise
    verification.require()
    return opened


def import_project(store: HistoryStore, release: Path, named: Path | None) -> int:
    """Import the prepared event log of a release's project into a store, once.

    Args:
        store: of the histories.
        release: its directory.
        named: the project; None: the release's own. Where there is none, or it has no prepared data, nothing is
            imported, and a warning is logged.

    Returns:
        How many events were new.

    Raises:
        UserError: `named` is given, and is not the release's project or has no prepared data.
        StoreError: the store cannot write.
    """
    workspace = find_project(release, named)
    prepared = None if workspace is None else find_prepared_files(workspace)
    if workspace is not None and prepared is not None:
        lines = log_lines(Prepared.load(prepared.directory))
        return store.import_lines(lines, f"{workspace.project}:{prepared.key}")
    lack = words_for_no_project(release, read_manifest(release)) if workspace is None else words_for_no_data(workspace)
    if named is not None:
        raise UserError(f"`--project` must name a project whose log holds the histories. {lack}")
    logger.warning("users have only the events that are reported to the service: %s", lack)
    return 0


def store_place(release: Path, store: str | None) -> str:
    """Return the place of a service's event store: the given one, or else a directory beside the releases."""
    return store or str(release.resolve().parent / ".serving")


def open_service(
    release: Path,
    opened: OpenedRelease,
    model: ModelBackend,
    histories: HistoryReader | None,
    wait: float = MODEL_SERVER_SECONDS,
    deadline: float = DEADLINE,
    metrics: ServiceMetrics | None = None,
) -> RankingService:
    """Open the index and a service over it, after a check that the served model is this release's.

    Args:
        release: its directory.
        opened: the same, opened.
        model: runs the release's model.
        histories: see `RankingService`.
        wait: seconds to wait until the model is AVAILABLE.
        deadline: see `RankingService`.
        metrics: see `RankingService`.

    Raises:
        UserError: index, vectors and the model that is served do not belong together.
    """
    index = load_index(Layout(release).index, opened.vectors)
    try:
        model.wait_until_available(wait)
    except ModelBackendError as error:
        raise wrong_version(opened, model, release, error) from error
    require_pair(opened, model, release, wait)
    return RankingService(opened, index, model, histories, deadline, metrics)
