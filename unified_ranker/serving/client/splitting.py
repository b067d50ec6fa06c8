"""Split of users between labels by hash: the same for a user at every request and on every machine."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass

from unified_ranker.core.errors import UserError

_SPACE = 2**64


@dataclass(frozen=True)
class LabelSplit:
    """Shares of the users by label.

    Attributes:
        shares: label to share; they sum to 1.
        salt: changes the groups; a later experiment should not reuse the groups of an earlier one.
    """

    shares: Mapping[str, float]
    salt: str = ""

    def __post_init__(self) -> None:
        """Check the shares.

        Raises:
            UserError: a share is not from 0 to 1, or they do not sum to 1.
        """
        bad = {label: share for label, share in self.shares.items() if not 0 <= share <= 1}
        if bad or not math.isclose(sum(self.shares.values()), 1.0, abs_tol=1e-9):
            raise UserError(
                f"`shares` of labels must be from 0 to 1 and sum to 1. Received: {dict(self.shares)}. Correct them."
            )

    def label_of(self, user: str) -> str:
        """Return the label of a user (or of another stable id, such as a request id for an anonymous user)."""
        digest = hashlib.blake2b(f"{self.salt}\0{user}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
        point, reached = int.from_bytes(digest, "big") / _SPACE, 0.0
        for label, share in self.shares.items():
            reached += share
            if point < reached:
                return label
        return [label for label, share in self.shares.items() if share > 0][-1]
