"""Outputs of the served model, decoded and checked once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from unified_ranker.core.arrays import MISSING, Arrays, Floats, Ints
from unified_ranker.core.errors import UserError
from unified_ranker.core.request import state_arrays
from unified_ranker.core.signature_names import (
    FINAL_SCORE,
    IMPUTED_QUERY,
    PROPOSED_IDS,
    PROPOSED_INDICES,
    QUERY_VECTOR,
    RETRIEVAL_SCORE,
)
from unified_ranker.serving.answering.opened_release import OpenedRelease


class ModelOutputError(UserError):
    """Error: the model of a release gave invalid outputs, such as NaN."""


@dataclass(frozen=True, eq=False)
class EncodedRequests:
    """Encoded requests, for retrieval and ranking.

    Attributes:
        query_vectors: `[batch, width]`.
        queries: of each request after imputation; "" for none.
        proposed: positions of the items that the model proposes for each request, each once.
        states: inputs of the signatures that rank, by name.
    """

    query_vectors: Floats
    queries: tuple[str, ...]
    proposed: tuple[Ints, ...]
    states: Arrays

    @classmethod
    def of(cls, release: OpenedRelease, requests: int, outputs: Arrays) -> "EncodedRequests":
        """Decode the outputs for a number of requests.

        Raises:
            ModelOutputError: query vectors that are not finite, or do not fit the item vectors.
        """
        vectors = outputs.get(QUERY_VECTOR)
        if vectors is None or vectors.shape != (requests, release.vectors.shape[1]):
            raise ModelOutputError(
                f"query vectors must be as wide as the release's item vectors, {release.vectors.shape[1]}. "
                f"Received: {'none' if vectors is None else list(vectors.shape)} for {requests} requests. "
                "Verify the release."
            )
        _require_finite(QUERY_VECTOR, vectors)
        return cls(
            query_vectors=vectors,
            queries=tuple(_texts(outputs[IMPUTED_QUERY])),
            proposed=tuple(proposals(release, outputs, requests)),
            states=state_arrays(outputs),
        )


@dataclass(frozen=True, eq=False)
class CandidateOutputs:
    """Scores of the candidates of one request, `[candidates]`.

    Attributes:
        score: by which they are ordered.
        retrieval_score: dot product of query vector and item vector.
        heads: output of each head by its name, in order of the names.
    """

    score: Floats
    retrieval_score: Floats
    heads: dict[str, Floats] = field(default_factory=dict)

    @classmethod
    def of(cls, counts: Sequence[int], outputs: Arrays) -> list["CandidateOutputs"]:
        """Decode the outputs for requests with so many candidates each.

        Raises:
            ModelOutputError: a number is not finite.
        """
        # Sorted, because the order of a SavedModel's outputs changes each time that it is loaded.
        heads = sorted(outputs.keys() - {FINAL_SCORE, RETRIEVAL_SCORE})
        # Asked of all at once. Behind the candidates of a request may stand anything, so a bad number is looked for.
        suspect = [name for name, values in outputs.items() if not np.isfinite(values).all()]
        made = []
        for row, count in enumerate(counts):
            own = {name: outputs[name][row, :count] for name in (FINAL_SCORE, RETRIEVAL_SCORE, *heads)}
            for name in suspect:
                _require_finite(name, own[name])
            made.append(cls(own.pop(FINAL_SCORE), own.pop(RETRIEVAL_SCORE), own))
        return made


NOTHING_RANKED = CandidateOutputs(np.zeros(0, np.float32), np.zeros(0, np.float32))
"""Scores of a request without candidates."""


def proposals(release: OpenedRelease, outputs: Arrays, requests: int) -> list[Ints]:
    """Return the positions of the items that the model proposes for each request, each once.

    The models of early releases have no signals and propose nothing.
    """
    if PROPOSED_INDICES in outputs:
        return [release.positions_of(numbers[numbers != MISSING]) for numbers in outputs[PROPOSED_INDICES]]
    if PROPOSED_IDS not in outputs:
        return [np.zeros(0, np.int64) for _ in range(requests)]
    rows = (dict.fromkeys(_texts(names)) for names in outputs[PROPOSED_IDS])
    return [release.positions(name for name in names if name) for names in rows]


def _texts(values: Iterable[Any]) -> list[str]:
    return [value.decode() if isinstance(value, bytes) else str(value) for value in values]


def _require_finite(name: str, values: np.ndarray) -> None:
    broken = ~np.isfinite(values)
    if broken.any():
        raise ModelOutputError(
            f"the model's output `{name}` must be finite. Received: {int(broken.sum())} of {values.size} "
            "numbers that are not. Verify the release, or serve the previous one."
        )
