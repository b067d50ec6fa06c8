"""Event types of no item, such as searches, filters and logins: their events name none, or none of the catalogue."""

from dataclasses import dataclass

import pandas as pd

from unified_ranker.log.schema import InteractionLog
from unified_ranker.project.init.inspect_columns import percent

ALMOST_ALL = 0.9
"""Share of an event type's events that name no item, from which it is a type of no item. Below, its rows are faulty."""
MOST_OF_OTHERS = 0.5
"""Share of the other events that must name an item; below, the catalogue is another one's."""
_CODE = r"\S*\d\S*"
"""Form of a code: a digit and no blank, as in `i12`, and not in `Berlin, Germany`."""


@dataclass(frozen=True)
class TypeOfNoItem:
    """Event type of no item: how many events it has, how many of these name nothing, and a name that is no item."""

    event_type: str
    events: int
    absent: int
    example: str | None

    @property
    def why(self) -> str:
        """The reason in a few words, with the counts seen."""
        named = self.events - self.absent
        parts = [f"{percent(self.absent / self.events)} name nothing"] if self.absent else []
        if named and self.example is not None:
            parts.append(f"{percent(named / self.events)} name something else than an item, such as `{self.example}`")
        return f"`{self.event_type}` ({self.events:,} events): {', '.join(parts)}"


def types_of_no_item(log: InteractionLog, catalogue: bool) -> tuple[TypeOfNoItem, ...]:
    """Return the event types of a log that are of no item, the most frequent first.

    Args:
        log: in canonical form; it may have faults of content.
        catalogue: whether the items come from a table of their own. Otherwise everything that events name is an item,
            and types whose names look like nothing that the others name are of none.
    """
    events = log.events[log.events["event_type"].notna().to_numpy(bool)]
    named = events["item_id"].notna()
    known = named & events["item_id"].isin(log.items["item_id"].dropna())
    of_type = events["event_type"].astype(str)
    if not catalogue:
        known &= ~of_type.isin(_differently_named(events["item_id"], of_type))
    lacking = 1 - known.groupby(of_type).mean()
    found = lacking.index[lacking >= ALMOST_ALL]
    others = known[~of_type.isin(found)]
    if not len(found) or others.empty or others.mean() < MOST_OF_OTHERS:
        return ()
    out = []
    for name in found:
        own = (of_type == name).to_numpy(bool)
        words = events["item_id"][own & named.to_numpy(bool) & ~known.to_numpy(bool)]
        example = str(words.mode().iloc[0]) if len(words) else None
        out.append(TypeOfNoItem(str(name), int(own.sum()), int((own & ~named.to_numpy(bool)).sum()), example))
    return tuple(sorted(out, key=lambda kind: (-kind.events, kind.event_type)))


def _differently_named(items: "pd.Series[str]", of_type: "pd.Series[str]") -> list[str]:
    """Return the types whose events name words where those of the others name codes, and nothing in common."""
    named = items.dropna()
    kinds = of_type[named.index]
    coded = named.str.fullmatch(_CODE).groupby(kinds).mean()
    codes = named[kinds.isin(coded.index[coded >= ALMOST_ALL])].unique()
    shared = named.isin(codes).groupby(kinds).mean()
    words = (coded <= 1 - ALMOST_ALL) & (shared <= 1 - ALMOST_ALL)
    return [str(kind) for kind in words.index[words]] if len(codes) else []
