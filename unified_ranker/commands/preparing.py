"""What `prepare` prints about the log beside its one line."""

import json
from pathlib import Path

from rich.table import Table

from unified_ranker.commands.stages import OUT
from unified_ranker.project.project_preparation import DRIFT_PLOT, QUALITY_FILE, QUARANTINE_FILE


def print_quality(directory: Path) -> None:
    """Print the counts, the checks that did not pass, and the drift of every column."""
    file = directory / QUALITY_FILE
    if not file.is_file():
        return
    quality = json.loads(file.read_text(encoding="utf-8"))
    if not quality:
        return
    events = quality["events"]
    counts = ", ".join(f"{events[name]:,} {name.replace('_', ' ')}" for name in ("read", "kept", "out_of_order"))
    OUT.print(f"events: {counts}, {events['repeated']:,} repeated", markup=False)
    for reason, rows in events["put_aside"].items():
        OUT.print(f"  put aside {rows:,}: not so that {reason}", markup=False, style="yellow")
    for line in quality["checks"]:
        if not line.startswith("PASS"):
            OUT.print(f"  {line}", markup=False, style="yellow")
    table = Table(title="drift: the last 20 % of the events against those before", title_justify="left")
    for name in ("column", "PSI", "", "most changed", "before", "after"):
        table.add_column(name, justify="left" if name in ("column", "", "most changed") else "right")
    for row in quality["drift"]:
        shares = (f"{row['before']:.1%}", f"{row['after']:.1%}")
        table.add_row(row["column"], f"{row['psi']:.3f}", row["verdict"], row["most"], *shares)
    OUT.print(table)
    OUT.print(f"details: {file}; plot: {directory / DRIFT_PLOT}", markup=False)
    if (directory / QUARANTINE_FILE).is_file():
        OUT.print(f"rows put aside: {directory / QUARANTINE_FILE}", markup=False)
