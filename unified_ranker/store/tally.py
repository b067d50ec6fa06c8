"""Tally of faulty vectors, in one pass and in constant memory."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from unified_ranker.core.arrays import Floats

EXAMPLES_SHOWN = 3
_HASHES = 100_000
_DIGEST = 2**64


@dataclass(frozen=True)
class VectorCheck:
    """Finding of a guard.

    Attributes:
        name: of the guard, as `--force` takes it.
        kind: of the entries.
        passed: whether the rule holds.
        count: number of entries that break it.
        of: number of entries that were checked.
        rule: the rule.
        examples: ids.
    """

    name: str
    kind: str
    passed: bool
    count: int
    of: int
    rule: str
    examples: tuple[str, ...] = ()

    def line(self) -> str:
        """Return the finding as a line."""
        shown = f", e.g. {', '.join(self.examples)}" if self.examples and self.count else ""
        verdict = "PASS" if self.passed else "FAIL"
        return f"{verdict} {self.name} ({self.kind}): {self.rule}: {self.count:,} of {self.of:,}{shown}"

    def document(self) -> dict[str, Any]:
        """Return the finding as JSON values."""
        return {**asdict(self), "examples": list(self.examples)}

    @classmethod
    def of_document(cls, document: dict[str, Any]) -> "VectorCheck":
        """Read what `document` returned."""
        return cls(**{**document, "examples": tuple(document["examples"])})


@dataclass
class Seen:
    """Number of entries with a fault, and the first of them."""

    count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, names: Sequence[str]) -> None:
        """Count entries."""
        self.count += len(names)
        self.examples += names[: EXAMPLES_SHOWN - len(self.examples)]


class Tally:
    """Counts of the entries of one kind."""

    def __init__(self, kind: str, width: int) -> None:
        """Expect vectors of `width`."""
        self.kind, self.width, self.given = kind, width, 0
        self.wrong_width, self.not_finite, self.zero, self.again = Seen(), Seen(), Seen(), Seen()
        self._digest = 0
        # Equal vectors are all in the sample or none of them, so their share of the sample estimates that of the whole.
        self._thin, self._hashes, self._names = 1, np.zeros(0, np.uint64), np.zeros(0, object)
        self._warm = 0
        self._mix = np.random.default_rng(20_240_101).integers(1, 2**63, width, np.uint64) * np.uint64(2) + np.uint64(1)

    def add(self, ids: Sequence[str], vectors: Floats, cold: np.ndarray) -> None:
        """Count rows of the right width; `cold` ones may all have one vector."""
        self.given += len(ids)
        names = np.array(ids, object)
        finite = np.isfinite(vectors).all(1)
        self.not_finite.add(names[~finite].tolist())
        self.zero.add(names[finite & ~vectors.any(1)].tolist())
        with np.errstate(over="ignore"):
            hashes = (np.ascontiguousarray(vectors, np.float32).view(np.uint32).astype(np.uint64) * self._mix).sum(1)
        self._digest = (self._digest + int(hashes.sum(dtype=np.uint64))) % _DIGEST
        warm = finite & ~cold & vectors.any(1)
        self._warm += int(warm.sum())
        self._keep(hashes[warm], names[warm])

    def _keep(self, hashes: np.ndarray, names: np.ndarray) -> None:
        chosen = self._is_kept(hashes)
        self._hashes = np.concatenate([self._hashes, hashes[chosen]])
        self._names = np.concatenate([self._names, names[chosen]])
        while len(self._hashes) > _HASHES and self._thin < 2**20:
            self._thin *= 2
            chosen = self._is_kept(self._hashes)
            self._hashes, self._names = self._hashes[chosen], self._names[chosen]

    def _is_kept(self, hashes: np.ndarray) -> np.ndarray:
        """Mark one hash in `_thin`, by its higher bits."""
        mixed = hashes * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(16)
        return np.asarray(mixed % np.uint64(self._thin) == 0)

    @property
    def digest(self) -> str:
        """Digest of all vectors in any order, as hex digits; it finds damage, but not forgery."""
        return f"{self._digest:016x}"

    def checks(self, most_duplicates: float) -> list[VectorCheck]:
        """Return the findings; at most the share `most_duplicates` may have the vector of another entry."""
        total = self.given + self.wrong_width.count
        width = f"vectors have width {self.width}"
        found = [
            ("width", self.wrong_width, width),
            ("finite", self.not_finite, "no vector holds NaN or infinity"),
            ("zero", self.zero, "no vector is zero"),
            ("duplicate_ids", self.again, "no id has two vectors"),
        ]
        out = [
            VectorCheck(name, self.kind, seen.count == 0, seen.count, total, rule, tuple(seen.examples))
            for name, seen, rule in found
        ]
        _, first, counts = np.unique(self._hashes, return_index=True, return_counts=True)
        share = float((counts - 1).sum() / max(len(self._hashes), 1))
        twins = tuple(self._names[first[counts > 1]][:EXAMPLES_SHOWN].tolist())
        rule = f"at most {most_duplicates:.1%} have the vector of another"
        passed, count = share <= most_duplicates, round(share * self._warm)
        return [*out, VectorCheck("duplicate_vectors", self.kind, passed, count, self._warm, rule, twins)]
