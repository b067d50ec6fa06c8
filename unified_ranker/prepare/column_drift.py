"""Drift: population stability index of each column of the events between two windows of the log.

PSI = Σ (b - a) · ln(b / a) over the bins of a column, with a and b the shares of the earlier and the later window.
Bins are fixed, so that each shard can count by itself and two logs can be compared: names for categories, doublings for
numbers, hours for times.

Histories and ages of items grow with the log, though nothing about it changes. Their bounds are therefore above their
own growth: the index of the same comparison one step earlier, which is the same number where growth is all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from unified_ranker.core.times import DAY

SLICES = 20
"""Least number of slices of time that the log is cut into, each with equally many events."""
EARLIER = 0.8
"""Share of the slices that are the earlier window."""
_LEAST_SHARE = 1e-4
"""Share that stands for an empty bin, so that the logarithm exists."""
MODERATE, LARGE = 0.1, 0.25
"""Customary bounds: below the first a column is stable, above the second its population has changed."""
ITEM_AGE, EARLIER_EVENTS = "item_id (age, days)", "history (events)"
GROWING = frozenset({ITEM_AGE, EARLIER_EVENTS})
"""Columns that grow with the log."""
GROWTH_VARIES = 1.25
"""Factor of the index one step earlier that is still growth: bins are doublings, and steps end anywhere in them."""
PROFILE = pa.schema({"slice": pa.int64(), "column": pa.string(), "bin": pa.string(), "rows": pa.int64()})


@dataclass(frozen=True)
class Moved:
    """One column's drift: its index, the verdict, the bin whose share changed most, and how much of it is growth."""

    column: str
    psi: float
    verdict: str
    most: str
    before: float
    after: float
    growth: float = 0.0


def profile(
    rows: pa.Table, stamp: npt.NDArray[np.int64], created: pa.ChunkedArray, tasks: list[str], types: list[str]
) -> pa.Table:
    """Count the bins of every column of events in order of time, by slices of them (`PROFILE`)."""
    parts = min(SLICES, max(len(rows), 1))
    number = np.arange(len(rows)) * parts // max(len(rows), 1)
    tables = [PROFILE.empty_table()]
    for column, bins in _bins(rows, stamp, created, tasks, types).items():
        binned = pa.table({"slice": number, "bin": bins.cast(pa.string())})
        counted = binned.group_by(["slice", "bin"]).aggregate([([], "count_all")])
        names = pa.array([column] * len(counted), pa.string())
        arrays = [counted["slice"], pa.chunked_array([names]), counted["bin"], counted["count_all"]]
        table = pa.table(arrays, names=PROFILE.names).cast(PROFILE)
        tables.append(table.sort_by([("slice", "ascending"), ("bin", "ascending")]))
    return pa.concat_tables(tables)


def column_drift(profiles: pa.Table) -> list[Moved]:
    """Compare the earlier with the later window, by profiles whose `slice` numbers continue from shard to shard."""
    if not len(profiles):
        return []
    frame = profiles.to_pandas()
    bound = (frame["slice"].max() + 1) * EARLIER
    out = []
    for column, part in frame.groupby("column", sort=False):
        names, before, after = _windows(part, bound)
        index, shares = stability(before, after)
        most = int(np.abs(shares[1] - shares[0]).argmax())
        growth = 0.0
        if column in GROWING:
            growth = GROWTH_VARIES * stability(*_windows(part[part["slice"] < bound], bound * EARLIER)[1:])[0]
            growth = min(growth, index)
        excess = index - growth
        verdict = "stable" if excess < MODERATE else "moderate" if excess < LARGE else "large"
        first, last = (round(float(s[most]), 5) for s in shares)
        out.append(Moved(str(column), round(index, 5), verdict, str(names[most]), first, last, round(growth, 5)))
    return sorted(out, key=lambda moved: moved.growth - moved.psi)


def _windows(profiles: pd.DataFrame, bound: float) -> tuple[pd.Index, npt.NDArray, npt.NDArray]:
    """Return the bins of a column, and their counts in the slices before a bound and in the others."""
    marked = profiles.assign(later=profiles["slice"] >= bound)
    table = marked.pivot_table(index="bin", columns="later", values="rows", aggfunc="sum", fill_value=0)
    table = table.reindex(columns=[False, True], fill_value=0).sort_index()
    return table.index, table[False].to_numpy(), table[True].to_numpy()


def stability(before: npt.NDArray, after: npt.NDArray) -> tuple[float, npt.NDArray]:
    """Return the population stability index of two counts by bin `[bins]`, and the shares `[2, bins]`."""
    counts = np.stack([before, after]).astype(np.float64)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1.0)
    a, b = np.maximum(shares, _LEAST_SHARE)
    return float(((b - a) * np.log(b / a)).sum()), shares


def plot_drift(moved: Sequence[Moved], file: Path) -> None:
    """Draw the indices as bars, with the customary bounds, into a PNG or SVG file."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 0.4 * len(moved) + 1.6), layout="constrained")
    axes = figure.subplots()
    rows = moved[::-1]
    colours = {"stable": "#4c78a8", "moderate": "#f58518", "large": "#e45756"}
    axes.barh([m.column for m in rows], [m.psi - m.growth for m in rows], color=[colours[m.verdict] for m in rows])
    for bound in (MODERATE, LARGE):
        axes.axvline(bound, color="#888888", linewidth=0.8, linestyle="--")
    axes.set_xlim(0, max(LARGE * 1.2, *((m.psi - m.growth) * 1.1 for m in rows)))
    axes.set_xlabel("population stability index, above the growth of the log")
    axes.set_title(f"last {1 - EARLIER:.0%} of the events against those before", loc="left", fontsize=10)
    figure.savefig(file, metadata={"Software": None} if file.suffix == ".png" else {"Date": None})


def _bins(
    rows: pa.Table, stamp: npt.NDArray[np.int64], created: pa.ChunkedArray, tasks: list[str], types: list[str]
) -> dict[str, pa.Array | pa.ChunkedArray]:
    first = pc.fill_null(created.cast(pa.int64()), -1).to_numpy() // 1_000_000
    item = rows["item"].to_numpy()
    begun = np.append(first, -1)[item]
    age = np.where((item < 0) | (begun < 0), np.nan, np.maximum(stamp - begun, 0) / DAY)
    words = pc.fill_null(pc.add(pc.count_substring(rows["query"], " "), 1), 0).to_numpy()
    return {
        "user_id": _either(rows["user"].to_numpy() < 0, "anonymous", "known"),
        ITEM_AGE: _doublings(age),
        "task": pa.array(tasks, pa.string()).take(rows["task"]),
        "event_type": pa.array(types, pa.string()).take(rows["event_type"]),
        "timestamp (hour)": pa.array(stamp % DAY // 3600),
        "query (words)": pa.array(words),
        "source_item_id": _either(rows["source_item"].to_numpy() < 0, "absent", "present"),
        "query_item_id": _either(rows["query_item"].to_numpy() < 0, "absent", "present"),
        "country": pc.fill_null(rows["country"], "absent"),
        "value": _doublings(pc.fill_null(rows["value"], np.nan).to_numpy()),
        "position": _doublings(pc.fill_null(rows["position"].cast(pa.float64()), np.nan).to_numpy()),
        EARLIER_EVENTS: _doublings(rows["history_length"].to_numpy().astype(np.float64)),
    }


def _either(flag: npt.NDArray[np.bool_], yes: str, no: str) -> pa.Array:
    return pa.array([no, yes], pa.string()).take(pa.array(flag.astype(np.int8)))


def _doublings(values: npt.NDArray) -> pa.Array:
    """Name the doubling that numbers lie in, by its lower bound: 0, 1, 2, 4 …; "absent" for NaN."""
    there = ~np.isnan(values)
    whole = np.where(there, values, 0.0)
    power = np.where(np.abs(whole) >= 1, np.floor(np.log2(np.maximum(np.abs(whole), 1))), -1).astype(np.int64)
    lowest = int(power.min(initial=-1))
    names = [("0" if p < 0 else f"{2**p}") for p in range(lowest, int(power.max(initial=0)) + 1)]
    bins = pa.array(names, pa.string()).take(pa.array(power - lowest))
    bins = pc.if_else(pa.array(whole <= -1), pc.binary_join_element_wise("-", bins, ""), bins)
    return pc.if_else(pa.array(there), bins, "absent")
