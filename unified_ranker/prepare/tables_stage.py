"""Stage `tables`: the catalogue and the declared users, in canonical form and in order of their indices.

One worker reads both, because a model holds every item in memory anyway; only events grow without bound.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from unified_ranker.core.errors import UserError
from unified_ranker.engines.job import Outputs, Reader
from unified_ranker.log.content_checks import not_empty, table_checks
from unified_ranker.log.schema import Problem, canonical, has_values
from unified_ranker.log.table_checks import absence_checks, finite_numbers
from unified_ranker.log.table_files import parquet_table
from unified_ranker.prepare.check_counts import to_rows
from unified_ranker.prepare.examples import order_of_items
from unified_ranker.prepare.stage_names import LogSource, Rules


@dataclass(frozen=True)
class ReadTables:
    """Makes `items` and `users` (canonical), `keys` (`item_id`, `created`, `rank` by id) and `checks`."""

    source: LogSource
    rules: Rules

    def __call__(self, shard: int, reader: Reader) -> Outputs:
        """Read both tables."""
        problems: list[Problem] = []
        raw_items = _read(self.source.items)
        raw_users = None if self.source.users is None else _read(self.source.users)
        items = canonical("items", raw_items, problems)
        users = canonical("users", raw_users if raw_users is not None else _no_users(), problems)
        if problems:
            raise UserError("\n".join(str(p) for p in problems))
        title_given = has_values(raw_items, "title")
        tables = {"items": raw_items} | ({} if raw_users is None else {"users": raw_users})
        checks = []
        if self.rules.check:
            checks = [
                not_empty("items", len(items)),
                *table_checks(items, users, self.rules.now, title_given),
                *finite_numbers(tables),
                *(check for name, table in tables.items() for check in absence_checks(name, table)),
            ]
            items, users = _sound(items, "item_id"), _sound(users, "user_id")
        items = items.iloc[lasting_order(items, self.source)].reset_index(drop=True)
        users = users.sort_values("user_id", kind="stable").reset_index(drop=True)
        ids = items["item_id"].to_numpy(object)
        rank = np.empty(len(ids), np.int32)
        rank[np.argsort(ids.astype(str), kind="stable")] = np.arange(len(ids), dtype=np.int32)
        keys = pa.table(
            {
                "item_id": pa.array(ids, pa.string()),
                "created": pa.array(items["created_at"], pa.timestamp("us", "UTC"), from_pandas=True),
                "rank": rank,
            }
        )
        return {
            "items": [pa.Table.from_pandas(items, preserve_index=False)],
            "users": [pa.Table.from_pandas(users, preserve_index=False)],
            "keys": [keys],
            "checks": [to_rows(checks)],
        }


def lasting_order(items: pd.DataFrame, source: LogSource) -> npt.NDArray[np.int64]:
    """Return the rows of the items in catalogue order; items of an earlier release come first, with their indices.

    Raises:
        UserError: an item of the earlier release is missing.
    """
    order = order_of_items(items)
    if source.known_items is None:
        return order
    known = pq.read_table(source.known_items, columns=["item_id"])["item_id"].to_numpy()
    index = pd.Index(known).get_indexer(items["item_id"])
    gone = len(known) - int((index >= 0).sum())
    if gone:
        missing = sorted(set(known.tolist()) - set(items["item_id"].tolist()))[:3]
        raise UserError(
            f"`--since` needs every item of the release in the items table, so that indices stay the same. Received: "
            f"{gone:,} missing, e.g. {', '.join(f'`{m}`' for m in missing)}. "
            "Put them back, or prepare without `--since`."
        )
    old = np.flatnonzero(index >= 0)
    return np.concatenate([old[np.argsort(index[old], kind="stable")], order[index[order] < 0]])


def _sound(frame: pd.DataFrame, key: str) -> pd.DataFrame:
    """Return the rows that have an id, the first of each."""
    blank = frame[key].isna() | (frame[key].str.strip() == "")
    return frame[~blank].drop_duplicates(key)


def _read(source: pa.Table | object) -> pa.Table:
    return source if isinstance(source, pa.Table) else parquet_table(source)  # type: ignore[arg-type]


def _no_users() -> pa.Table:
    return pa.table({"user_id": pa.array([], pa.string())})
