"""Difference of two sets of vectors: missing, extra and differing entries, and their distance."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from unified_ranker.store.base import StoreBackend
from unified_ranker.store.sample import read_many
from unified_ranker.store.tally import EXAMPLES_SHOWN, Seen
from unified_ranker.store.version_manifest import require_version

_TOLERANCE = 1e-4
"""Distance below which two unit vectors count as equal: rounding of the same computation in float32."""
_AT_ONCE = 10_000


@dataclass(frozen=True)
class Difference:
    """Differences between the entries of one kind on two sides.

    Attributes:
        kind: of the entries.
        both: ids that both sides have.
        missing: ids that only the first side has, and examples.
        extra: ids that only the second side has, and examples.
        differing: ids whose vectors are further apart than the tolerance, and the furthest of them.
        mean_distance: of the ids that both have.
        largest_distance: likewise.
    """

    kind: str
    both: int
    missing: int
    missing_examples: tuple[str, ...]
    extra: int
    extra_examples: tuple[str, ...]
    differing: int
    differing_examples: tuple[str, ...]
    mean_distance: float
    largest_distance: float

    @property
    def same(self) -> bool:
        """Tells whether nothing differs."""
        return not (self.missing or self.extra or self.differing)

    def line(self) -> str:
        """Return the finding as a line."""
        parts = [
            f"{count:,} {name}" + (f" (e.g. {', '.join(examples)})" if count else "")
            for name, count, examples in (
                ("missing", self.missing, self.missing_examples),
                ("extra", self.extra, self.extra_examples),
                ("differing", self.differing, self.differing_examples),
            )
        ]
        apart = f"distance {self.mean_distance:.2g} in the mean, {self.largest_distance:.2g} at most"
        return f"{self.kind}: {self.both:,} in both, {', '.join(parts)}; {apart}"

    def document(self) -> dict[str, Any]:
        """Return the finding as JSON values."""
        return asdict(self)


class VersionDiff:
    """Comparison of two sides, fed with pairs of vectors."""

    def __init__(self, kind: str, tolerance: float = _TOLERANCE) -> None:
        """Compare entries of one kind; vectors nearer than `tolerance` (Euclidean) are the same."""
        self._kind, self._tolerance = kind, tolerance
        self._missing, self._extra = Seen(), Seen()
        self._both, self._differing, self._total = 0, 0, 0.0
        self._furthest: list[tuple[float, str]] = []

    def add(self, ids: Sequence[str], one: npt.NDArray, other: npt.NDArray, found: npt.NDArray[np.bool_]) -> None:
        """Add entries of the first side `[n, width]`, and those of the second where `found` `[n]`."""
        names = np.array(ids, object)
        self._missing.add(names[~found].tolist())
        apart = np.linalg.norm(one[found].astype(np.float64) - other[found], axis=1)
        apart = np.where(np.isfinite(apart), apart, np.inf)
        self._both += len(apart)
        self._differing += int((apart > self._tolerance).sum())
        self._total += float(apart.sum())
        furthest = np.argsort(-apart)[:EXAMPLES_SHOWN]
        examples = zip(apart[furthest].tolist(), names[found][furthest], strict=True)
        self._furthest = sorted([*self._furthest, *examples], reverse=True)[:EXAMPLES_SHOWN]

    def add_extra(self, ids: Sequence[str]) -> None:
        """Add ids that only the second side has."""
        self._extra.add(list(ids))

    def result(self) -> Difference:
        """Return the differences."""
        return Difference(
            kind=self._kind,
            both=self._both,
            missing=self._missing.count,
            missing_examples=tuple(self._missing.examples),
            extra=self._extra.count,
            extra_examples=tuple(self._extra.examples),
            differing=self._differing,
            differing_examples=tuple(name for apart, name in self._furthest if apart > self._tolerance),
            mean_distance=self._total / max(self._both, 1),
            largest_distance=self._furthest[0][0] if self._furthest else 0.0,
        )


def diff(backend: StoreBackend, one: int, other: int, tolerance: float = _TOLERANCE) -> list[Difference]:
    """Compare two sealed versions, kind by kind; memory does not grow with them.

    Raises:
        UserError: one of them is missing or incomplete.
    """
    kinds = [require_version(backend, version).kinds for version in (one, other)]
    out = []
    for kind in dict.fromkeys([*kinds[0], *kinds[1]]):
        comparison = VersionDiff(kind, tolerance)
        widths = [own[kind].width if kind in own else None for own in kinds]
        for version, width, against in ((one, widths[0], other), (other, widths[1], one)):
            if width is None:
                continue
            for ids, _ in backend.scan(version, kind, _AT_ONCE):
                mine = read_many(backend, version, kind, ids, width)
                there = read_many(backend, against, kind, ids, widths[0] or width)
                if version == other:
                    comparison.add_extra([n for n, found in zip(ids, there.found, strict=True) if not found])
                elif widths[0] != widths[1]:
                    comparison.add(ids, mine.vectors, mine.vectors, np.zeros(len(ids), bool))
                else:
                    comparison.add(ids, mine.vectors, there.vectors, there.found)
        out.append(comparison.result())
    return out
