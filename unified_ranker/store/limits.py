"""Limits of the checks that stop a new version of the vectors from being published."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Limits as shares from 0 to 1, above which a check stops the publishing.

    Attributes:
        duplicate_vectors: share of entries with the same vector as another; entries without history do not count.
        lost: share of the published ids that the new version lacks.
        norm_change: relative change of a vector's length.
        norms: share of entries whose length changed by more than that.
        neighbours: mean share of the ten nearest entries that are others than before.
    """

    duplicate_vectors: float = 0.1
    lost: float = 0.05
    norm_change: float = 0.1
    norms: float = 0.05
    neighbours: float = 0.9
