"""Result of one check of the data, and its line of output."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import pandas as pd

from unified_ranker.core.errors import blanks_shown
from unified_ranker.log.column_types import MAX_EXAMPLES
from unified_ranker.log.row_rules import Harm, Severity

Example = Mapping[str, Any] | str
MAX_EXAMPLE_LENGTH = 160
MAX_LISTED = 10
"""Most names that a check lists."""


@dataclass(frozen=True)
class Check:
    """Result of one check.

    Attributes:
        name: the rule, as a sentence that is true when it holds.
        passed: whether it holds.
        count: rows that break it.
        examples: up to three of them, as columns and values or as text.
        what_to_do: the remedy.
        severity: an "error" stops the job, a "warning" does not.
        total: number of rows that were checked; 0 when the rule is not about rows.
        found: the finding, for a rule that is not about rows.
        harm: of the finding, which orders the warnings.
    """

    name: str
    passed: bool
    count: int = 0
    examples: tuple[Example, ...] = ()
    what_to_do: str = ""
    severity: Severity = "error"
    total: int = 0
    found: str = ""
    harm: Harm = Harm.IDLE

    @property
    def failed(self) -> bool:
        """Tells whether the check failed, so that the job must stop."""
        return not self.passed and self.severity == "error"

    def line(self) -> str:
        """Return the check as one line: `FAIL rule: 12 of 90 rows (13 %), e.g. … → remedy`."""
        if self.passed:
            return f"PASS {self.name}"
        parts = [self.found] if self.found else []
        if self.count and self.total:
            parts.append(f"{self.count:,} of {self.total:,} rows ({_percent(self.count / self.total)})")
        elif self.count:
            parts.append(f"{self.count:,} rows")
        if self.examples:
            parts.append("e.g. " + "; ".join(_shown(example) for example in self.examples))
        verdict = "FAIL" if self.severity == "error" else "WARN"
        return " ".join(f"{verdict} {self.name}: {', '.join(parts)} → {self.what_to_do}".split())


def in_order(checks: Iterable[Check]) -> list[Check]:
    """Return checks as they are shown: those that pass, those that failed, then the warnings, the most harmful first.

    Of warnings of one harm, the one with the largest share of rows comes first.
    """

    def rank(check: Check) -> tuple[int, int, float]:
        share = check.count / check.total if check.total else 1.0
        return (0, 0, 0.0) if check.passed else (1, 0, 0.0) if check.failed else (2, check.harm, -share)

    return sorted(checks, key=rank)


def tolerate(checks: Sequence[Check], most: float) -> list[Check]:
    """Turn errors in a share of the events up to `most` into warnings: the pipeline quarantines the rows."""
    few = [c.failed and c.name.startswith("events.") and c.total and c.count / c.total <= most for c in checks]
    remedy = "quarantined, see quarantine.parquet of the prepared data; "
    return [
        replace(c, severity="warning", what_to_do=remedy + c.what_to_do) if is_few else c
        for c, is_few in zip(checks, few, strict=True)
    ]


def rows_check(
    name: str,
    frame: pd.DataFrame,
    bad: "pd.Series[bool]",
    columns: Sequence[str],
    what_to_do: str,
    severity: Severity = "error",
    harm: Harm = Harm.LOST,
) -> Check:
    """Return the check that no row is `bad` `[rows]`, with `columns` of the first three that are."""
    count = int(bad.sum())
    shown = frame.loc[bad.to_numpy(), list(dict.fromkeys(columns))].head(MAX_EXAMPLES) if count else frame.head(0)
    examples = tuple({str(k): v for k, v in row.items()} for row in shown.to_dict("records"))
    return Check(name, not count, count, examples, what_to_do, severity, total=len(frame), harm=harm)


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 0.995 else f"{100 * share:.3g} %"


def _shown(example: Example) -> str:
    """Return an example as short text, without the columns that are null."""
    if isinstance(example, str):
        text = f"`{blanks_shown(example)}`"
    else:
        there = {k: v for k, v in example.items() if isinstance(v, list) or not pd.isna(v)}
        text = " ".join(
            f"{k}={v.isoformat() if isinstance(v, datetime) else blanks_shown(str(v))}" for k, v in there.items()
        )
    text = text or "(all null)"
    return text if len(text) <= MAX_EXAMPLE_LENGTH else text[: MAX_EXAMPLE_LENGTH - 1] + "…"


def counted(counts: "pd.Series[int]") -> str:
    """Return the first names of a count with their numbers: "`click` (1,200), `view` (80)"."""
    rest = f" and {len(counts) - MAX_LISTED} more" if len(counts) > MAX_LISTED else ""
    return ", ".join(f"`{n}` ({c:,})" for n, c in counts.head(MAX_LISTED).items()) + rest or "none"
