"""Columns of features: from the fields of items, or the rows of a table, to the inputs of the served model."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from unified_ranker.core.arrays import Arrays
from unified_ranker.core.times import NEVER, seconds
from unified_ranker.towers.feature_types.base import FeatureType


def read_features(table: pd.DataFrame, features: Iterable[FeatureType]) -> Arrays:
    """Return the served inputs of a table's rows by column: "" and NaN where absent."""
    return {feature.column: feature.read(table[feature.column]) for feature in features}


def item_inputs(items: pd.DataFrame, features: Iterable[FeatureType]) -> Arrays:
    """Return rows of a canonical table of items as inputs of `embed_items`: "", 0 and NaN where absent."""
    created = seconds(items["created_at"])
    return {
        "item_id": items["item_id"].to_numpy(object),
        "created_at": np.where(created == NEVER, 0, created),
        **read_features(items, features),
    }


def table_of_items(fields: Mapping[str, Mapping[str, Any]], features: Sequence[FeatureType]) -> pd.DataFrame:
    """Return items by id as a canonical table with every column that `features` read; absent fields are null.

    `created_at` is a time, or seconds since 1970, of which 0 stands for absent, as in the inputs of `embed_items`.
    """
    rows = fields.values()
    created = pd.Series([_time(row.get("created_at")) for row in rows], dtype="datetime64[us, UTC]")
    columns = {feature.column: feature.to_column([row.get(feature.column) for row in rows]) for feature in features}
    return pd.DataFrame({"item_id": pd.Series(list(fields), dtype=object), "created_at": created, **columns})


def _time(value: Any) -> pd.Timestamp | None:
    if value is None or pd.isna(value):
        return None
    if isinstance(value, int | float | np.integer):
        return pd.Timestamp(int(value), unit="s", tz="UTC") if value else None
    stamp = pd.Timestamp(value)
    return stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp.tz_convert("UTC")
