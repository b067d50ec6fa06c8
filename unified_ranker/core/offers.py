"""Offers: the countries in which each item may be shown, and its availability."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from unified_ranker.core.array_module import Array
from unified_ranker.core.arrays import Ints, Mask

COUNTRIES, AVAILABLE = "countries", "available"
"""Columns of an items table: no country means everywhere, no flag means available."""
NOWHERE = "?"
"""Stands for every country that no item names."""


def offered(known: Array, named: Array, restricted: Array) -> Array:
    """Mark the items that are offered to a request.

    Args:
        known: whether the request's country is known; where it is not, every item is offered.
        named: whether an item names that country.
        restricted: whether an item names countries at all; one that names none is offered everywhere.
    """
    return ~known | named | ~restricted


@dataclass(frozen=True, eq=False)
class Offers:
    """Availability and countries of a catalogue's items.

    Attributes:
        available: which items may be shown at all, `[items]`.
        items, codes: an item, and a country that it names as an index in `countries`, `[pairs]`.
        countries: the countries that items name, in ascending order.
    """

    available: Mask
    items: Ints
    codes: Ints
    countries: tuple[str, ...]
    _offered: dict[str, Mask] = field(default_factory=dict, repr=False, init=False)
    _withheld: dict[str, int] = field(default_factory=dict, repr=False, init=False)

    @classmethod
    def of(cls, available: npt.ArrayLike, countries: Iterable[Sequence[str]]) -> "Offers":
        """Build from flags `[items]` and from the countries that each item names, `[items]`."""
        pairs = [(item, country) for item, named in enumerate(countries) for country in dict.fromkeys(named)]
        names, codes = np.unique([country for _, country in pairs], return_inverse=True)
        items = np.array([item for item, _ in pairs], np.int64)
        return cls(np.array(available, bool), items, codes.astype(np.int64), tuple(map(str, names)))

    @classmethod
    def everywhere(cls, items: int) -> "Offers":
        """Return the offers of `items` items that are available everywhere."""
        return cls.of(np.ones(items), ())

    def __len__(self) -> int:
        """Return the number of items."""
        return len(self.available)

    @cached_property
    def restricted(self) -> Mask:
        """The items that name countries, `[items]`."""
        out = np.zeros(len(self), bool)
        out[self.items] = True
        return out

    def named(self, country: str) -> Mask:
        """Return the items that name a country, `[items]`."""
        out = np.zeros(len(self), bool)
        if country in self.countries:
            out[self.items[self.codes == self.countries.index(country)]] = True
        return out

    def offered(self, country: str) -> Mask:
        """Return the items that are offered in a country ("" = unknown), `[items]`; computed once per country."""
        key = self._key(country)
        if key not in self._offered:
            self._offered[key] = offered(np.bool_(country != ""), self.named(country), self.restricted)
        return self._offered[key]

    def withheld(self, country: str) -> int:
        """Return the number of items that may not be shown in a country ("" = unknown)."""
        key = self._key(country)
        if key not in self._withheld:
            self._withheld[key] = int((~(self.offered(country) & self.available)).sum())
        return self._withheld[key]

    def _key(self, country: str) -> str:
        """Return the country, or `NOWHERE` for all those that no item names, which then have one entry together."""
        return country if not country or country in self.countries else NOWHERE

    def take(self, kept: Mask) -> "Offers":
        """Return the offers of the items of a mask `[items]`."""
        index = np.cumsum(kept) - 1
        of_kept = kept[self.items]
        return Offers(self.available[kept], index[self.items[of_kept]], self.codes[of_kept], self.countries)

    def followed_by(self, later: "Offers") -> "Offers":
        """Return the offers of these items and of others behind them."""
        countries = tuple(sorted({*self.countries, *later.countries}))
        number = {country: code for code, country in enumerate(countries)}
        codes = [np.array([number[c] for c in part.countries], np.int64)[part.codes] for part in (self, later)]
        return Offers(
            np.concatenate([self.available, later.available]),
            np.concatenate([self.items, later.items + len(self)]),
            np.concatenate(codes),
            countries,
        )


def offers_of(table: Any) -> Offers:
    """Return the offers that a table of items (pandas) declares in its columns `countries` and `available`."""
    available = np.ones(len(table))
    if AVAILABLE in table:
        available = table[AVAILABLE].fillna(True)
    countries = [countries_of(named) for named in table[COUNTRIES]] if COUNTRIES in table else ()
    return Offers.of(available, countries)


def countries_of(value: object) -> Sequence[str]:
    """Return the countries that a cell of the column names: a list, text with `|` between, or nothing."""
    if isinstance(value, str):
        return [part.strip() for part in value.split("|") if part.strip()]
    if isinstance(value, list | tuple | np.ndarray):
        return [str(part) for part in value]
    return []
