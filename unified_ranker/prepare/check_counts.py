"""Checks as rows of a table, so that the counts of all shards can be added."""

import json
from collections.abc import Iterable

import pandas as pd
import pyarrow as pa

from unified_ranker.log.check import Check
from unified_ranker.log.column_types import MAX_EXAMPLES
from unified_ranker.log.row_rules import Harm
from unified_ranker.prepare.stage_names import CHECKS


def to_rows(checks: Iterable[Check]) -> pa.Table:
    """Return checks as rows of `CHECKS`."""
    rows = [
        {
            "rule": c.name,
            "passed": c.passed,
            "bad": 0 if c.passed else c.count,
            "total": c.total,
            "found": c.found,
            "what_to_do": c.what_to_do,
            "severity": c.severity,
            "harm": int(c.harm),
            "examples": json.dumps([e if isinstance(e, str) else _plain(e) for e in c.examples]),
        }
        for c in checks
    ]
    return pa.Table.from_pylist(rows, schema=CHECKS)


def add_up(rows: pa.Table) -> list[Check]:
    """Return one check for each rule, over all shards, in order of their first appearance."""
    found: dict[str, list[dict]] = {}
    for row in rows.to_pylist():
        found.setdefault(row["rule"], []).append(row)
    return [_one(rule, of) for rule, of in found.items()]


def _one(rule: str, rows: list[dict]) -> Check:
    found = [example for row in rows for example in json.loads(row["examples"])]
    examples = [example for at, example in enumerate(found) if example not in found[:at]][:MAX_EXAMPLES]
    broken = [row for row in rows if not row["passed"]]
    shown = (broken or rows)[0]
    return Check(
        rule,
        passed=not broken,
        count=sum(row["bad"] for row in rows),
        examples=tuple(examples),
        what_to_do=shown["what_to_do"],
        severity=shown["severity"],
        total=sum(row["total"] for row in rows),
        found=shown["found"],
        harm=Harm(shown["harm"]),
    )


def _plain(example: object) -> dict[str, str]:
    there = dict(example)  # type: ignore[call-overload]
    return {str(k): str(v) for k, v in there.items() if isinstance(v, list) or not pd.isna(v)}
