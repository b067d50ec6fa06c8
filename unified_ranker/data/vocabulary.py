"""What the towers must know of the data before they are built: names, categories, scales, which ids are trained.

All of it is taken from before the end of the fit window: an item or user that appears later is unknown to it.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from unified_ranker.config import CategoriesFeature, CategoryFeature, Config, NumberFeature
from unified_ranker.data.examples import MISSING
from unified_ranker.data.prepared import Prepared


@dataclass(frozen=True)
class Scale:
    """Mean and standard deviation of a number (after log1p where declared) over rows that have it."""

    mean: float
    deviation: float


@dataclass(frozen=True)
class Vocabulary:
    """Names in index order and scales. `categories` holds "column=value", shared by every tower; 0 is unknown."""

    tasks: list[str]
    event_types: list[str]
    categories: list[str]
    item_numbers: dict[str, Scale]
    user_numbers: dict[str, Scale]
    id_mask_rate: float

    def to_json(self) -> dict:
        """Return the vocabulary as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, tree: dict) -> "Vocabulary":
        """Rebuild what `to_json` returned."""
        scales = {k: {c: Scale(**s) for c, s in tree[k].items()} for k in ("item_numbers", "user_numbers")}
        return cls(**{**tree, **scales})


def build_vocabulary(prepared: Prepared, config: Config, fit_end: int) -> Vocabulary:
    """Collect names and scales from items created, users seen and events done before `fit_end` (seconds)."""
    items = prepared.items[prepared.created_at < fit_end]
    users = prepared.users[_users_before(prepared, fit_end)]
    fit = prepared.between(None, fit_end)
    counts: Counter[str] = Counter()
    for feature in config.towers.item.features:
        counts.update(_categories(items, feature))
    for user_feature in config.towers.user.profile:
        counts.update(_categories(users, user_feature))
    countries = Counter(f"country={c}" for c in fit.country if c)
    least = config.towers.context.country_min_count
    counts.update({c: n for c, n in countries.items() if n >= least})
    return Vocabulary(
        tasks=list(config.tasks),
        event_types=sorted(set(prepared.histories.event_type[prepared.histories.timestamp < fit_end])),
        categories=sorted(counts),
        item_numbers=_scales(items, config.towers.item.features),
        user_numbers=_scales(users, config.towers.user.profile),
        id_mask_rate=_mask_rate(prepared, config, fit_end),
    )


def number_column(table: pd.DataFrame, feature: NumberFeature) -> np.ndarray:
    """Return a numeric column `[rows]` as float32, NaN where absent, log1p taken where declared."""
    column = table[feature.column].to_numpy(np.float32, na_value=np.nan)
    return np.log1p(np.maximum(column, 0)) if feature.log else column


def _users_before(prepared: Prepared, fit_end: int) -> np.ndarray:
    offsets, times = prepared.histories.offsets, prepared.histories.timestamp
    first = np.full(len(prepared.users), np.iinfo(np.int64).max)
    active = offsets[1:] > offsets[:-1]
    first[active] = times[offsets[:-1][active]]
    return first < fit_end


def _categories(table: pd.DataFrame, feature: object) -> dict[str, int]:
    if isinstance(feature, CategoryFeature):
        values: Iterable[str] = table[feature.column].dropna().astype(str)
    elif isinstance(feature, CategoriesFeature):
        values = [v for row in table[feature.column] if row is not None for v in row]
    else:
        return {}
    counts = Counter(values)
    return {f"{feature.column}={v}": n for v, n in counts.items() if n >= feature.min_count}


def _scales(table: pd.DataFrame, features: Iterable[object]) -> dict[str, Scale]:
    out = {}
    for feature in features:
        if isinstance(feature, NumberFeature):
            column = number_column(table, feature)
            column = column[~np.isnan(column)]
            deviation = float(column.std()) if len(column) else 1.0
            out[feature.column] = Scale(float(column.mean()) if len(column) else 0.0, deviation or 1.0)
    return out


def _mask_rate(prepared: Prepared, config: Config, fit_end: int) -> float:
    """Share of the fit window's last tenth of positives whose item no event before that tenth has touched."""
    declared = config.towers.item.id_mask_rate
    if declared != "auto":
        return declared
    fit = prepared.between(None, fit_end)
    if len(fit) == 0:
        return 0.0
    start = int(np.quantile(fit.timestamp, 0.9))
    late = fit.item[fit.timestamp >= start]
    earlier = np.unique(prepared.events.item[prepared.events.timestamp < start])
    late = late[late != MISSING]
    return float(np.clip(1 - np.isin(late, earlier).mean(), 0.02, 0.9)) if len(late) else 0.0
