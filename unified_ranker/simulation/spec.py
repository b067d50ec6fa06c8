"""Specification of a marketplace: its sizes, its seed, and a switch for each thing that makes logs hard."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import Field, ValidationError

from unified_ranker.config.declaration import Declaration
from unified_ranker.core.errors import UserError, unknown_name

SPEC_FILE = "marketplace.json"
TASKS = ("home_feed", "search", "more_like_this")


class Switches(Declaration):
    """Switches of a marketplace, each for one thing that makes logs hard.

    Attributes:
        impressions: the log has what was shown and not clicked.
        purchases: clicks may lead to a purchase.
        position_bias: the lower a place, the less it is looked at.
        seasonality: hours, weekdays and seasons of a style.
        drift: tastes move over the days of the log.
        cold_items: three in ten items are created while the log runs; otherwise all are there from the start.
        countries: tastes, prices and shares differ by country.
        queries: search requests carry words of what is wanted; otherwise they are blank.
        titles: titles are made of words that carry the style; otherwise of words drawn at random.
        anonymous: three in a hundred requests have no user.
    """

    impressions: bool = True
    purchases: bool = True
    position_bias: bool = True
    seasonality: bool = True
    drift: bool = True
    cold_items: bool = True
    countries: bool = True
    queries: bool = True
    titles: bool = True
    anonymous: bool = True


class MarketplaceSpec(Declaration):
    """A marketplace, whole: the same spec gives the same bytes.

    `events` is what is aimed at; as many requests are made as give that many on average. `start` is a day.
    """

    items: int = Field(2_000, ge=20)
    users: int = Field(1_000, ge=1)
    events: int = Field(100_000, ge=100)
    days: int = Field(90, ge=1)
    start: str = Field("2025-01-01", pattern=r"^\d{4}-\d{2}-\d{2}$")
    seed: int = Field(7, ge=0)
    slate: int = Field(10, ge=1, le=100)
    shares: dict[str, float] = Field({"home_feed": 0.5, "search": 0.3, "more_like_this": 0.2}, min_length=1)
    switches: Switches = Switches()

    @property
    def segments(self) -> int:
        """The number of styles that items come in."""
        return max(8, min(self.items // 40, 1000))

    def save(self, directory: Path) -> None:
        """Write the spec beside the log that it made."""
        (directory / SPEC_FILE).write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, directory: Path) -> "MarketplaceSpec":
        """Read what `save` wrote.

        Raises:
            UserError: `directory` holds no simulated marketplace.
        """
        file = directory / SPEC_FILE
        if not file.is_file():
            raise UserError(
                f"`{directory}` is no simulated marketplace: it holds no {SPEC_FILE}. "
                "Name a directory that `unified-ranker simulate` has written."
            )
        return cls.model_validate(json.loads(file.read_text(encoding="utf-8")))


def make_spec(sizes: Mapping[str, int], off: Sequence[str]) -> MarketplaceSpec:
    """Return the marketplace of some sizes, with the switches `off` off.

    Raises:
        UserError: there is no such switch, or a size is out of range.
    """
    for name in off:
        if name not in Switches.model_fields:
            raise unknown_name("switch", name, Switches.model_fields)
    try:
        return MarketplaceSpec(**sizes, switches=Switches(**dict.fromkeys(off, False)))
    except ValidationError as error:
        lines = [f"`--{e['loc'][0]}`: {e['msg'].lower()}. Received: {e['input']}." for e in error.errors()]
        raise UserError("\n".join(lines)) from error
