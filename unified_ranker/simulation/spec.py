"""Specification of a marketplace: its sizes, its seed, and switches for the effects that make logs hard."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import Field, ValidationError

from unified_ranker.config.declaration import Declaration
from unified_ranker.core.errors import UserError, unknown_name

SPEC_FILE = "marketplace.json"
TASKS = ("home_feed", "search", "more_like_this")


class Switches(Declaration):
    """Switches of a marketplace, each for one effect that makes logs hard.

    Attributes:
        impressions: the log has a row for each item that was shown, clicked or not.
        purchases: clicks may lead to a purchase.
        position_bias: lower positions of a slate are looked at less often.
        seasonality: activity depends on hour and weekday, demand for a style on the season.
        drift: tastes move over the days of the log.
        cold_items: three in ten items are created during the log; otherwise all exist at its start.
        countries: tastes differ by country.
        queries: search requests have words of the wanted style; otherwise their query is empty.
        titles: titles have words of the item's style; otherwise words drawn at random.
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
    """Specification of a marketplace; the same one gives the same bytes.

    `events` is approximate: the number of requests is chosen to give that many on average. `start` is a day.
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
        """Number of segments (styles) of the items."""
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
                f"`{directory}` is no simulated marketplace: {SPEC_FILE} is missing. "
                "Name a directory that `unified-ranker simulate` has written."
            )
        return cls.model_validate(json.loads(file.read_text(encoding="utf-8")))


def make_spec(sizes: Mapping[str, int], off: Sequence[str]) -> MarketplaceSpec:
    """Return the spec of the given sizes, with the switches named in `off` turned off.

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
