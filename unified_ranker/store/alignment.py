"""A stable space: the orthogonal transform that maps a version's vectors onto those of a reference (Procrustes).

Training again turns the whole space: dot products within a version mean the same, those across versions nothing,
and whatever a consumer has learnt on the old vectors breaks. An orthogonal transform changes no dot product within a
version.

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
    """Whose space a version is in.

    Attributes:
        reference: the version that it was mapped onto; its own number where it begins a space.
        transform: float64 `[width, width]`, orthogonal: stored = made @ transform.
        report: what `vector_drift` found; {} where it begins a space.
    """

    reference: int
    transform: Matrix
    report: dict[str, Any]

    def apply(self, vectors: Floats) -> Floats:
        """Map vectors `[n, width]` as the towers make them; where a space begins, they stay what they are."""
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
        UserError: fewer shared items than the width: the transform would be a guess.
    """
    if len(made) < made.shape[1]:
        raise UserError(
            f"mapping into the space of the reference needs {made.shape[1]} shared items or more. "
            f"Received: {len(made)}. Begin a space of its own with `--reference new`, and tell its consumers."
        )
    left, _, right = np.linalg.svd(made.astype(np.float64).T @ reference.astype(np.float64))
    return left @ right


def vector_drift(made: npt.NDArray, mapped: npt.NDArray, reference: npt.NDArray) -> dict[str, float]:
    """Return how far shared items `[n, width]` are from where they were, before and after: mean cosine and distance."""
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
