"""Which items may be shown where: availability, and the countries that an item is offered in."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from unified_ranker.core.arrays import Mask

COUNTRIES, AVAILABLE = "countries", "available"
"""Columns of an items table that say it; a null list or an empty one means everywhere, a null flag means yes."""


@dataclass(frozen=True, eq=False)
class Filters:
    """Masks over items, worked out once.

    Attributes:
        hidden: items that may be shown nowhere, `[items]`.
        elsewhere: items that name countries at all, `[items]`.
        offered: by country, the items that name it, `[items]`.
    """

    hidden: Mask
    elsewhere: Mask
    offered: dict[str, Mask]
    memo: dict[str, tuple[Mask | None, int]] = field(default_factory=dict, repr=False)

    def blocked(self, country: str) -> tuple[Mask | None, int]:
        """Return the items that may not answer a request from `country` ("" = unknown), and how many they are.

        None stands for a mask without an item, which is the ordinary case.
        """
        key = country if country in self.offered else ""
        if key == "" and country:
            key = "?"  # a country that no item names
        if key not in self.memo:
            mask = self.hidden if not country else self.hidden | (self.elsewhere & ~self._offered(country))
            count = int(mask.sum())
            self.memo[key] = (mask if count else None, count)
        return self.memo[key]

    def _offered(self, country: str) -> Mask:
        return self.offered.get(country, np.zeros(len(self.hidden), bool))


def filters_of(catalogue: pd.DataFrame) -> Filters | None:
    """Return the filters that a catalogue's columns `countries` and `available` declare; None without either."""
    if not {COUNTRIES, AVAILABLE} & set(catalogue.columns):
        return None
    items = len(catalogue)
    hidden = np.zeros(items, bool)
    if AVAILABLE in catalogue:
        hidden = ~catalogue[AVAILABLE].fillna(True).to_numpy(bool)
    offered: dict[str, Mask] = {}
    elsewhere = np.zeros(items, bool)
    if COUNTRIES in catalogue:
        for row, named in enumerate(catalogue[COUNTRIES]):
            for country in countries_of(named):
                offered.setdefault(country, np.zeros(items, bool))[row] = True
                elsewhere[row] = True
    return Filters(hidden, elsewhere, offered)


def countries_of(value: object) -> Sequence[str]:
    """Return the countries that a cell of the column names: a list, text with `|` between, or nothing."""
    if isinstance(value, str):
        return [part.strip() for part in value.split("|") if part.strip()]
    if isinstance(value, list | tuple | np.ndarray):
        return [str(part) for part in value]
    return []
