"""Vocabulary: names, categories, scales and the id mask rate, from which the towers are built.

It is made of data before the end of the fit window; items and users that appear later are unknown to it.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from unified_ranker.config import Config
from unified_ranker.core.arrays import MISSING, Strings
from unified_ranker.prepare.examples import Examples, Histories
from unified_ranker.prepare.prepared import Prepared

LEAST_MASK_RATE, MOST_MASK_RATE = 0.02, 0.9
"""Bounds of the estimated id mask rate: some ids are always masked, to train content, and some never, to train ids."""

_ROUNDING = 1e-6


@dataclass(frozen=True)
class Scale:
    """Mean and standard deviation of a number (after log1p where declared) over rows that have it."""

    mean: float
    deviation: float

    @classmethod
    def of(cls, values: np.ndarray) -> "Scale":
        """Measure values `[n]`; where all are the same but for rounding, the deviation is 1."""
        if not len(values):
            return cls(0.0, 1.0)
        mean, deviation = float(values.mean()), float(values.std())
        # The model reads 32 bits, in which less than this is an error of rounding, and would be all that it sees.
        return cls(mean, deviation if deviation > _ROUNDING * abs(mean) else 1.0)


@dataclass(frozen=True)
class StrengthScale:
    """Scale of the values of an event type: stars, amounts and milliseconds of play become comparable.

    Attributes:
        typical: median of the values without their sign.
        scale: of log1p(|value| / `typical`), with the value's sign.
    """

    typical: float
    scale: Scale

    @classmethod
    def of(cls, values: np.ndarray) -> "StrengthScale":
        """Measure values `[n]`, none of which is 0, of at least one event."""
        typical = float(np.median(np.abs(values)))
        strengths = np.sign(values) * np.log1p(np.abs(values) / typical)
        return cls(typical, Scale.of(strengths))


@dataclass(frozen=True)
class Vocabulary:
    """Names in index order, and scales.

    Attributes:
        tasks: the declared tasks.
        event_types: kinds of event in histories.
        categories: "column=value" of every category and country; one table that all towers share.
        item_numbers: scales of the item tower's numbers by column.
        user_numbers: scales of the profile's numbers by column.
        id_mask_rate: share of items whose id is masked in training.
        event_values: scales of the values in histories by event type, of those that have values.
    """

    tasks: list[str]
    event_types: list[str]
    categories: list[str]
    item_numbers: dict[str, Scale]
    user_numbers: dict[str, Scale]
    id_mask_rate: float
    event_values: dict[str, StrengthScale] = field(default_factory=dict)

    def to_json(self) -> dict:
        """Return the vocabulary as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, tree: dict) -> "Vocabulary":
        """Rebuild what `to_json` returned."""
        scales = {k: {c: Scale(**s) for c, s in tree[k].items()} for k in ("item_numbers", "user_numbers")}
        # A release of an earlier version has none; its weights say that the model is another one.
        values = tree.get("event_values", {}).items()
        strengths = {name: StrengthScale(v["typical"], Scale(**v["scale"])) for name, v in values}
        return cls(**{**tree, **scales, "event_values": strengths})


def build_vocabulary(prepared: Prepared, config: Config, fit_end: int) -> Vocabulary:
    """Collect names and scales from items created, users seen and events done before `fit_end` (seconds)."""
    items = prepared.items[prepared.items_before(fit_end)]
    users = prepared.users[_seen_before(prepared, fit_end)]
    histories = prepared.histories
    least = config.towers.context.country_min_count
    countries = _countries(prepared, config, prepared.between(None, fit_end))
    categories = {f"country={value}" for value in frequent(countries[countries != ""], least)}
    for table, features in ((items, config.towers.item.features), (users, config.towers.user.profile)):
        categories |= {f"{f.column}={value}" for f in features for value in f.categories(table[f.column])}
    return Vocabulary(
        tasks=list(config.tasks),
        event_types=sorted(set(histories.event_type[histories.timestamp < fit_end])),
        categories=sorted(categories),
        item_numbers=_scales(items, config.towers.item.features),
        user_numbers=_scales(users, config.towers.user.profile),
        id_mask_rate=_mask_rate(prepared, config, fit_end),
        event_values=_event_values(prepared.histories, fit_end),
    )


def _event_values(histories: Histories, fit_end: int) -> dict[str, StrengthScale]:
    valued = (histories.timestamp < fit_end) & (histories.value != 0)
    values = pd.Series(histories.value[valued].astype(np.float64))
    by_type = values.groupby(histories.event_type[valued])
    return {str(name): StrengthScale.of(found.to_numpy()) for name, found in by_type}


def frequent(values: Iterable[str], least: int) -> set[str]:
    """Return the values that occur at least `least` times."""
    return {value for value, count in Counter(values).items() if count >= least}


def _seen_before(prepared: Prepared, fit_end: int) -> np.ndarray:
    """Return which users have an event before `fit_end`, `[users]`."""
    offsets, times = prepared.histories.offsets, prepared.histories.timestamp
    seen = offsets[1:] > offsets[:-1]
    seen[seen] = times[offsets[:-1][seen]] < fit_end
    return seen


def _countries(prepared: Prepared, config: Config, examples: Examples) -> Strings:
    """Return the country of each request as the model sees it, `[examples]`: its own, or the imputed one."""
    imputing = [name for name, task in config.tasks.items() if task.imputation.country == "user"]
    # The last one is that of anonymous users, whose index is -1.
    homes = np.append(prepared.users["country"].fillna("").to_numpy(object), "")
    home = np.where(np.isin(examples.task, imputing), homes[examples.user], "")
    return np.where(examples.country == "", home, examples.country)


def _scales(table: pd.DataFrame, features: Iterable[Any]) -> dict[str, Scale]:
    found = {feature.column: feature.scale(table[feature.column]) for feature in features}
    return {column: scale for column, scale in found.items() if scale is not None}


def _mask_rate(prepared: Prepared, config: Config, fit_end: int) -> float:
    """Return the declared rate, or the share of late positives from whose item nothing was learnt before.

    Late are those after the 90 % quantile of times in the fit window: about the same share of items will be new to
    requests after the window. The estimate is kept within `LEAST_MASK_RATE` and `MOST_MASK_RATE`.
    """
    declared = config.towers.item.id_mask_rate
    if declared != "auto":
        return declared
    fit = prepared.between(None, fit_end)
    if len(fit) == 0:
        return 0.0
    start = int(np.ceil(np.quantile(fit.timestamp, 0.9)))
    late = fit.item[(fit.timestamp >= start) & (fit.item != MISSING)]
    unseen = 1 - prepared.items_learnt(start)[late].mean() if len(late) else 0.0
    return float(np.clip(unseen, LEAST_MASK_RATE, MOST_MASK_RATE))
