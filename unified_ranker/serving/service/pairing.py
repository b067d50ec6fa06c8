"""Check that a served model and a release's vectors belong together."""

from pathlib import Path

import numpy as np

from unified_ranker.core.arrays import Arrays
from unified_ranker.core.errors import UserError
from unified_ranker.core.request import Request
from unified_ranker.core.signature_names import POPULARITY_NOW
from unified_ranker.release.layout import Layout
from unified_ranker.serving.answering.model_outputs import ModelOutputError
from unified_ranker.serving.answering.opened_release import OpenedRelease
from unified_ranker.serving.answering.recommending import encode_batch, rank_candidates
from unified_ranker.serving.answering.request_rule import RequestRule
from unified_ranker.serving.backends.base import ModelBackend, ModelBackendError

_SECONDS = 30.0
_COMPARED_ITEMS = 64
_TOLERANCE = 1e-3
"""Largest rounding difference in float32 between a score of the model and one of the stored vectors."""


def require_pair(opened: OpenedRelease, model: ModelBackend, release: Path, timeout: float = _SECONDS) -> None:
    """Check that a served model is the release's.

    Raises:
        UserError: its scores differ from those of the stored vectors, or it does not answer.
    """
    try:
        difference = _difference(opened, model, timeout)
    except ModelBackendError as error:
        raise wrong_version(opened, model, release, error) from error
    if difference:
        raise UserError(
            f"{model.description} must serve the model of `{release}`. Its version {opened.version} is another one: "
            f"{difference}. Serve `{Layout(release).model_base}` there."
        )


def wrong_version(opened: OpenedRelease, model: ModelBackend, release: Path, error: ModelBackendError) -> UserError:
    """Return the error about a model backend that does not answer by a release's version of its model."""
    return UserError(
        f"{model.description} must serve version {opened.version} of model `{opened.manifest.model_name}`, the one of "
        f"`{release}`. Received: {error}. Serve `{Layout(release).model_base}` there, or leave out `--model-server`: "
        "the service then runs the model itself."
    )


def _difference(opened: OpenedRelease, model: ModelBackend, timeout: float) -> str:
    """Return how the served model and the release's vectors differ; "" when they are a pair.

    Version numbers are no proof, because they count from 1 in every project. But the model contains the item vectors,
    so its retrieval scores equal those of the stored vectors only if it belongs to them. It is called as for requests,
    because the first call of any other signature takes a second; but with popularity as released, which is that of the
    stored vectors.
    """

    def predict(signature: str, inputs: Arrays) -> Arrays:
        if POPULARITY_NOW in inputs:
            inputs = {**inputs, POPULARITY_NOW: np.full_like(inputs[POPULARITY_NOW], np.nan)}
        return model.predict(signature, inputs, timeout)

    request = Request(user_id="", task=next(iter(opened.config.tasks)))
    allowed = np.flatnonzero(RequestRule(opened, request).of_release())
    compared = allowed[:: max(len(allowed) // _COMPARED_ITEMS, 1)]
    try:
        encoded = encode_batch(opened, [request], predict)
        (ranked,) = rank_candidates(opened, [request], [compared], encoded, predict)
    except ModelOutputError as error:
        return str(error)
    served, stored = ranked.retrieval_score, (encoded.query_vectors @ opened.vectors[compared].T)[0]
    apart = np.abs(served - stored) > _TOLERANCE * (1 + np.abs(stored))
    if apart.any():
        worst = int(np.argmax(np.abs(served - stored)))
        return (
            f"it scores {int(apart.sum())} of {len(compared)} items differently from the stored vectors, e.g. "
            f"`{opened.item_ids[compared[worst]]}` {served[worst]:.4f} against {stored[worst]:.4f}"
        )
    return ""
