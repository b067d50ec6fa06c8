"""Need of a declaration: a part of the log that something is made from."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Need:
    """Part of the log that a signal or a head is made from.

    Attributes:
        rule: what the log must have, as a sentence: "items have titles".
        there: whether it has.
        found: what it has where it has not: "no item has a title".
    """

    rule: str
    there: bool
    found: str
