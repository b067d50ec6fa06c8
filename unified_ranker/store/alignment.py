"""Alignment of versions: the orthogonal transform that maps a version's vectors onto a reference's (Procrustes).

Each training rotates the vector space: dot products within a version stay comparable, dot products across versions
are meaningless, and models that consumers trained on the old vectors break. The transform maps a new version into the
space of the old one, and as it is orthogonal, it changes no dot product within the version.

Reference: Schönemann, A generalized solution of the orthogonal Procrustes problem, Psychometrika 31 (1966).
"""

import base64
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from unified_ranker.core.arrays import Floats
from unified_ranker.core.errors import UserError

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class DriftSince:
    """Drift of the items since the version that was published before, which is in the same space; means.

    Attributes:
        version: number of that version.
        cosine: of an item's two vectors.
        neighbour_overlap: share of an item's ten nearest that are the same.
    """

    version: int
    cosine: float
    neighbour_overlap: float


@dataclass(frozen=True)
class Drift:
    """Drift of the shared items from the version that a new one was mapped onto, before and after the mapping; means.

    Attributes:
        reference: number of that version.
        items: number of shared items.
        cosine_before: of an item's two vectors, as the towers made them.
        cosine_after: likewise, mapped.
        distance_before: Euclidean, as the towers made them.
        distance_after: likewise, mapped.
        neighbour_overlap: share of an item's ten nearest that are the same.
        published: drift since the version that was published before; None where that is the reference.
    """

    reference: int
    items: int
    cosine_before: float
    cosine_after: float
    distance_before: float
    distance_after: float
    neighbour_overlap: float
    published: DriftSince | None = None

    def document(self) -> dict[str, Any]:
        """Return the drift as JSON values."""
        out = asdict(self)
        if self.published is None:
            del out["published"]
        return out

    @classmethod
    def of_document(cls, document: dict[str, Any]) -> "Drift":
        """Read what `document` returned."""
        published = document.get("published")
        return cls(**{**document, "published": DriftSince(**published) if published else None})


@dataclass(frozen=True, eq=False)
class VectorSpace:
    """Vector space of a version.

    Attributes:
        reference: the version whose space it is mapped into; its own number for the first version of a space.
        transform: float64 `[width, width]`, orthogonal: stored vectors = the towers' vectors @ transform.
        drift: of the items by the mapping; None for the first version of a space.
    """

    reference: int
    transform: Matrix
    drift: Drift | None = None

    def apply(self, vectors: Floats) -> Floats:
        """Map the towers' vectors `[n, width]` into the space; the first version of a space is not changed."""
        if np.array_equal(self.transform, np.eye(len(self.transform))):
            return vectors
        return (vectors.astype(np.float64) @ self.transform).astype(np.float32)

    def document(self) -> dict[str, Any]:
        """Return the space as JSON values."""
        packed = base64.b64encode(np.ascontiguousarray(self.transform, "<f8").tobytes()).decode()
        report = {} if self.drift is None else self.drift.document()
        return {"reference": self.reference, "width": len(self.transform), "transform": packed, "report": report}

    @classmethod
    def of_document(cls, document: dict[str, Any]) -> "VectorSpace":
        """Read what `document` returned."""
        flat = np.frombuffer(base64.b64decode(document["transform"]), "<f8")
        drift = Drift.of_document(document["report"]) if document["report"] else None
        return cls(document["reference"], flat.reshape(document["width"], -1), drift)


def procrustes(made: npt.NDArray, reference: npt.NDArray) -> Matrix:
    """Return the orthogonal R `[width, width]` that minimises ‖made @ R - reference‖, both `[n, width]`.

    Raises:
        UserError: there are fewer shared items than dimensions, too few to determine the transform.
    """
    if len(made) < made.shape[1]:
        raise UserError(
            f"mapping into the space of the reference needs at least {made.shape[1]} shared items. "
            f"Received: {len(made)}. Start a new space with `--reference new`, and tell the consumers."
        )
    left, _, right = np.linalg.svd(made.astype(np.float64).T @ reference.astype(np.float64))
    return left @ right


def mean_distance(one: npt.NDArray, other: npt.NDArray) -> float:
    """Return the mean distance of vectors `[n, width]`, pair by pair."""
    return float(np.linalg.norm(one - other, axis=1).mean())


def mean_cosine(one: npt.NDArray, other: npt.NDArray) -> float:
    """Return the mean cosine of vectors `[n, width]`, pair by pair."""
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return float((np.einsum("nd,nd->n", one, other) / np.maximum(lengths, 1e-12)).mean())
