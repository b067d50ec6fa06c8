"""Undated columns: numbers of items that count or average the events of the log itself, up to the day of its export.

Such a number, like `review_count`, `stars` or today's stock, names the targets of the last events, which no request of
their time could know. It is found by what it does: it agrees with what happened after the fit window beyond what the
fit window tells. A number that was known before the log agrees with later events only as far as earlier ones do.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from unified_ranker.core.arrays import Floats, Ints
from unified_ranker.core.times import seconds
from unified_ranker.log.check import Check
from unified_ranker.log.row_rules import Harm
from unified_ranker.log.schema import InteractionLog

Doubles = npt.NDArray[np.float64]
AGREES = 0.5
"""Rank correlation of a number with an item's whole count or mean, from which it is a copy of it.

Prices of two logs have -0.2 and -0.1 (docs/reference/interaction-log.md).
"""
FAINT = 0.2
"""Least rank correlation, either way, of a number that agrees with the later events more than any honest one could."""
LEAST_BEYOND = 0.1
"""Least partial rank correlation with the later events, given the earlier ones."""
DEVIATIONS = 3.0
"""Standard errors of a correlation by which it must exceed its bound."""
LEAST_ITEMS = 30
MOST_GRADES = 101
"""Most distinct values of an event type that are ratings; with more, such as prices, their mean is no answer."""
MOST_TYPES = 5
"""Most frequent event types that are counted by themselves."""


@dataclass(frozen=True)
class ItemEvents:
    """Events of items in order of time, `[events]`: index of the item, seconds, number of the type, value or NaN."""

    item: Ints
    timestamp: Ints
    event_type: Ints
    value: Floats


@dataclass(frozen=True)
class Undated:
    """Finding about a column: the count or mean of the log that it agrees with best.

    Attributes:
        column: its name.
        what: what of the log it agrees with: "the number of `view` events".
        whole: rank correlation with that of all events.
        beyond: partial rank correlation with that after the fit window, given that before.
        copied: whether both are more than a number has that was known before.
    """

    column: str
    what: str
    whole: float
    beyond: float
    copied: bool

    @property
    def why(self) -> str:
        """Say what was found, in a sentence without its subject."""
        return (
            f"agrees with {self.what} of the log (rank correlation {self.whole:.2f}), and with those after the fit "
            f"window beyond what the events before tell ({self.beyond:.2f}): a count as of the export, which knows the "
            "answers"
        )


def undated_columns(
    items: pd.DataFrame, events: Iterable[ItemEvents], types: Mapping[int, str], fit_end: int
) -> list[Undated]:
    """Find the undated columns of the items table, each with what it agrees with best.

    Args:
        items: `[items, columns]`, in the order of the events' indices.
        events: those of known items, in parts that follow each other.
        types: names of the event types by number, those to count by themselves.
        fit_end: end of the fit window, seconds.
    """
    numbers = [name for name in items.columns if _is_number(items[name])]
    streams = _streams(events, types, len(items), fit_end) if numbers else []
    out = []
    for name in numbers:
        values = items[name].to_numpy(np.float64, na_value=np.nan)
        compared = [found for stream in streams if (found := _compare(str(name), values, stream)) is not None]
        # What a column agrees with best is what it may be a copy of: a count of all events tells of those of one type.
        out += [found for found in sorted(compared, key=lambda found: -abs(found.whole))[:1] if found.copied]
    return out


def undated_of_log(log: InteractionLog, fit_end: int) -> list[Undated]:
    """Find the undated columns of a log in memory, see `undated_columns`."""
    items = log.items.dropna(subset=["item_id"]).drop_duplicates("item_id")
    events = log.events[log.events["timestamp"].notna().to_numpy(bool)]
    item = pd.Index(items["item_id"]).get_indexer(events["item_id"])
    codes, names = pd.factorize(events["event_type"], sort=True)
    value = events["value"].to_numpy(np.float32, na_value=np.nan)
    known = item >= 0
    frequent = pd.Series(codes[codes >= 0]).value_counts().index[:MOST_TYPES]
    columns = (item, seconds(events["timestamp"]), codes, value)
    part = ItemEvents(*(column[known] for column in columns))
    return undated_columns(items, [part], {int(code): str(names[code]) for code in frequent}, fit_end)


def known_before_checks(features: Sequence[Any], found: Sequence[Undated]) -> Iterator[Check]:
    """Yield the check of each declared number that it was known before the events of the log.

    Args:
        features: those of towers/item.yaml, in order.
        found: the undated columns.
    """
    undated = {each.column: each for each in found}
    for number, feature in enumerate(features):
        if feature.type == "number" and not feature.known_before:
            of_column = undated.get(feature.column)
            yield Check(
                f"`towers/item.yaml`, `features[{number}].column`: `{feature.column}` was known before the events",
                passed=of_column is None,
                found="" if of_column is None else f"it {of_column.why}",
                what_to_do=f"remove the feature, or, if it is no such count: {declared_safe(feature.column)}",
                severity="warning",
                harm=Harm.LEAK,
            )


def declared_safe(column: str) -> str:
    """Return the line of towers/item.yaml that declares a number as known before the events."""
    return f"`- {{type: number, column: {column}, known_before: true}}`"


def _is_number(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype)


@dataclass(frozen=True)
class _Stream:
    """Counts or means of items in three parts of the log, `[items]`; the sums and the numbers of what is summed.

    The parts are the events before the end of the fit window, and two halves of the later ones.
    """

    what: str
    sums: Doubles
    counts: Doubles | None = None

    def of(self, *parts: int) -> Doubles:
        """Return the counts or the means of some of the parts together; NaN where an item has none to average."""
        sums = self.sums[list(parts)].sum(0)
        if self.counts is None:
            return sums
        counts = self.counts[list(parts)].sum(0)
        return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _streams(events: Iterable[ItemEvents], types: Mapping[int, str], items: int, fit_end: int) -> list[_Stream]:
    every = np.zeros((3, items))
    counts, sums, valued = ({code: np.zeros((3, items)) for code in types} for _ in range(3))
    grades = {code: np.zeros(0, np.float32) for code in types}
    for chunk in events:
        # Every second one in order of time, so that both halves of the later events are of the same time.
        part = np.where(chunk.timestamp < fit_end, 0, 1 + np.arange(len(chunk.item)) % 2)
        cell = part * items + chunk.item
        every += np.bincount(cell, minlength=every.size).reshape(every.shape)
        for code in types:
            of_type = chunk.event_type == code
            rated = of_type & ~np.isnan(chunk.value)
            counts[code] += np.bincount(cell[of_type], minlength=every.size).reshape(every.shape)
            if len(grades[code]) <= MOST_GRADES:
                grades[code] = np.union1d(grades[code], chunk.value[rated])
            sums[code] += np.bincount(cell[rated], chunk.value[rated], every.size).reshape(every.shape)
            valued[code] += np.bincount(cell[rated], minlength=every.size).reshape(every.shape)
    return [
        _Stream("the number of events", every),
        *(_Stream(f"the number of `{name}` events", counts[code]) for code, name in types.items() if len(types) > 1),
        *(
            _Stream(f"the mean `value` of `{name}` events", sums[code], valued[code])
            for code, name in types.items()
            if 1 < len(grades[code]) <= MOST_GRADES
        ),
    ]


def _compare(name: str, values: Doubles, stream: _Stream) -> Undated | None:
    columns = np.stack([values, stream.of(0, 1, 2), stream.of(0), stream.of(1, 2), stream.of(1), stream.of(2)])
    there = np.isfinite(columns).all(0)
    if there.sum() < LEAST_ITEMS:
        return None
    own, whole, before, after, half, other_half = (_ranks(column[there]) for column in columns)
    agreement, error = _correlation(own, whole), DEVIATIONS / np.sqrt(there.sum())
    early, late, both = _correlation(own, before), _correlation(own, after), _correlation(before, after)
    beyond = float((late - early * both) / np.sqrt(max((1 - early**2) * (1 - both**2), 1e-9)))
    surpassed = abs(agreement) >= FAINT and abs(beyond) > _most_beyond(both, _correlation(half, other_half)) + error
    sure = beyond * agreement > 0 and abs(beyond) >= max(LEAST_BEYOND, error)
    return Undated(name, stream.what, agreement, beyond, copied=bool(sure and (agreement >= AGREES or surpassed)))


def _most_beyond(both: float, halves: float) -> float:
    """Return the greatest partial correlation with the later events that a number known before can have.

    That is the one of the true rates of the later events, by which chance has drawn them: `both` is the correlation of
    the earlier events with the later ones, `halves` that of two halves of the later ones.
    """
    reliable = max(2 * halves / (1 + halves) if halves > -1 else 0.0, both**2, 0.0)
    known = min(both**2 / reliable, 1.0) if reliable > 0 else 0.0
    return float(np.sqrt(reliable * (1 - known) / max(1 - known * reliable, 1e-9)))


def _ranks(values: Doubles) -> Doubles:
    return np.asarray(pd.Series(values).rank(), np.float64)


def _correlation(one: Doubles, other: Doubles) -> float:
    one, other = one - one.mean(), other - other.mean()
    scale = float(np.sqrt((one * one).sum() * (other * other).sum()))
    return float((one * other).sum() / scale) if scale > 0 else 0.0
