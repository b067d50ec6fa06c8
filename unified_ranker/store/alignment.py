"""Alignment of versions: the orthogonal transform that maps a version's vectors onto a reference's (Procrustes).

Each training rotates the vector space: dot products within a version stay comparable, dot products across versions
are meaningless, and models that consumers trained on the old vectors break. The transform maps a new version into the
space of the old one, and as it is orthogonal, it changes no dot product within the version.

Reference: Schönemann, A generalized solution of the orthogonal Procrustes problem, Psychometrika 31 (1966).
"""

import base64
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from unified_ranker.core.arrays import Floats
from unified_ranker.core.errors import UserError

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class VectorSpace:
    """Vector space of a version.

    Attributes:
        reference: the version whose space it is mapped into; its own number for the first version of a space.
        transform: float64 `[width, width]`, orthogonal: stored vectors = the towers' vectors @ transform.
        report: result of `vector_drift`; {} for the first version of a space.
    """

    reference: int
    transform: Matrix
    report: dict[str, Any]

    def apply(self, vectors: Floats) -> Floats:
        """Map the towers' vectors `[n, width]` into the space; the first version of a space is not changed."""
        if np.array_equal(self.transform, np.eye(len(self.transform))):
            return vectors
        return (vectors.astype(np.float64) @ self.transform).astype(np.float32)

    def document(self) -> dict[str, Any]:
        """Return the space as JSON values."""
        packed = base64.b64encode(np.ascontiguousarray(self.transform, "<f8").tobytes()).decode()
        return {"reference": self.reference, "width": len(self.transform), "transform": packed, "report": self.report}

    @classmethod
    def of_document(cls, document: dict[str, Any]) -> "VectorSpace":
        """Read what `document` returned."""
        flat = np.frombuffer(base64.b64decode(document["transform"]), "<f8")
        return cls(document["reference"], flat.reshape(document["width"], -1), document["report"])


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


def vector_drift(made: npt.NDArray, mapped: npt.NDArray, reference: npt.NDArray) -> dict[str, float]:
    """Return mean cosine and distance of shared items `[n, width]` to the reference, before and after the mapping."""
    return {
        "items": len(made),
        "cosine_before": _cosine(made, reference),
        "cosine_after": _cosine(mapped, reference),
        "distance_before": float(np.linalg.norm(made - reference, axis=1).mean()),
        "distance_after": float(np.linalg.norm(mapped - reference, axis=1).mean()),
    }


def _cosine(one: npt.NDArray, other: npt.NDArray) -> float:
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return float((np.einsum("nd,nd->n", one, other) / np.maximum(lengths, 1e-12)).mean())
