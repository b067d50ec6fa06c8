"""Opening a ranking service: everything that must belong together is checked before the first request."""

import logging
from pathlib import Path

import numpy as np

from unified_ranker.data.prepared import Prepared
from unified_ranker.errors import UserError
from unified_ranker.export.index import load_index
from unified_ranker.export.log_history import LogHistory
from unified_ranker.export.release import Layout
from unified_ranker.export.requests import Request, to_arrays
from unified_ranker.export.verify import verify
from unified_ranker.pipeline.workspace import STAMP, Workspace
from unified_ranker.serving.answering.opened_release import OpenedRelease
from unified_ranker.serving.answering.recommending import states
from unified_ranker.serving.client.grpc_client import ModelClient, ModelServerError
from unified_ranker.serving.service.service import Histories, RankingService

MODEL_SERVER_SECONDS = 30.0
"""How long a model server may take to have the release's version AVAILABLE."""

_COMPARED_ITEMS = 64
_TOLERANCE = 1e-3
"""Between a score of the model and one of the stored vectors: float32 rounds differently in the two."""

logger = logging.getLogger(__name__)


def open_release(release: Path) -> OpenedRelease:
    """Walk a release's whole chain and open it.

    Raises:
        BrokenLinkError: naming the first link that does not hold.
        UserError: it is no release.
    """
    for line in verify(release):
        logger.info("release `%s`: %s", release, line)
    return OpenedRelease.open(release)


def open_histories(release: Path, opened: OpenedRelease, project: Path | None) -> LogHistory | None:
    """Open the event log of a release's project, as `unified-ranker prepare` left it.

    Args:
        release: its directory.
        opened: the same, opened.
        project: the project; None: the one in whose `releases/` the release lies. Where that is none, or has no
            prepared data, there are no histories, and a warning says so.

    Raises:
        UserError: `project` is given, and is none or has no prepared data.
    """
    root = (project or release.resolve().parent.parent).resolve()
    prepared = Workspace(root, opened.config).stage("prepare")
    if not (root / "project.yaml").is_file():
        lack = "holds no project.yaml"
    elif not (prepared / STAMP).is_file():
        lack = f"has no prepared data at `{prepared}`"
    else:
        return LogHistory(Prepared.load(prepared))
    if project is not None:
        raise UserError(
            f"`--project` must name a project whose log holds the histories. Received: `{project}`, which {lack}. "
            "Run `unified-ranker prepare` there, or leave the option out."
        )
    logger.warning(
        "`%s` %s: users have no history but the one that a request brings. Name a project with --project.", root, lack
    )
    return None


def open_service(
    release: Path,
    opened: OpenedRelease,
    client: ModelClient,
    histories: Histories | None,
    wait: float = MODEL_SERVER_SECONDS,
) -> RankingService:
    """Open the index, and make sure that the model server serves the model of this release.

    Args:
        release: its directory.
        opened: the same, opened.
        client: calls the release's version on the model server.
        histories: see `RankingService`.
        wait: seconds for the model server to have that version AVAILABLE.

    Raises:
        UserError: index, vectors and the model that is served do not belong together.
    """
    index = load_index(Layout(release).index, opened.vectors)
    try:
        client.wait_until_available(wait)
        difference = _difference(opened, client, wait)
    except ModelServerError as error:
        raise UserError(
            f"the model server must serve version {opened.version} of model `{client.model_name}`, the one of "
            f"`{release}`. Received: {error}. Serve `{Layout(release).model_base}` there, or leave out "
            "`--model-server` to start the embedded one."
        ) from error
    if difference:
        raise UserError(
            f"the model server at `{client.address}` must serve the model of `{release}`. Its version "
            f"{opened.version} is another one: {difference}. Serve `{Layout(release).model_base}` there."
        )
    return RankingService(opened, index, client, histories)


def _difference(opened: OpenedRelease, client: ModelClient, timeout: float) -> str:
    """Return how the served model and the release's vectors differ; "" when they are a pair.

    Their versions do not tell, because these count from 1 in every project. But the model scores candidates by the
    item vectors inside it, so its retrieval scores are those of the stored vectors only where the two are the same.
    """
    request = Request(user_id="", task=next(iter(opened.config.tasks)))
    encoded = client.predict("encode", to_arrays([request], opened.config.towers.user.history_length), timeout)
    query, width = encoded.get("query_vector"), opened.vectors.shape[1]
    if query is None or query.shape != (1, width):
        found = "none" if query is None else list(query.shape)
        return f"the query vector of a request must be [1, {width}]. Received: {found}"
    allowed = np.delete(np.arange(len(opened.item_ids)), opened.excluded(request))
    places = allowed[:: max(len(allowed) // _COMPARED_ITEMS, 1)]
    candidates = {"candidate_ids": opened.item_ids[places][None]}
    ranked = client.predict("rank_encoded", {**states(encoded), **candidates}, timeout)
    served, stored = ranked.get("retrieval_score"), query @ opened.vectors[places].T
    if served is None or served.shape != stored.shape:
        return f"`rank_encoded` gives no `retrieval_score` for {len(places)} candidates"
    apart = np.abs(served - stored) > _TOLERANCE * (1 + np.abs(stored))
    if apart.any() or not np.isfinite(served).all():
        worst = int(np.argmax(np.abs(served - stored)))
        return (
            f"it scores {int(apart.sum())} of {len(places)} items otherwise than the stored vectors, e.g. "
            f"`{opened.item_ids[places[worst]]}` {served[0, worst]:.4f} against {stored[0, worst]:.4f}"
        )
    return ""
