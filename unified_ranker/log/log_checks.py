"""Checks of an interaction log: one PASS, FAIL or WARN line for every rule.

`validate_tables` takes the tables as they were read, so that a missing column or a wrong type is a line among the
others and NaN differs from null. Nothing is repaired or dropped.
"""

from collections.abc import Iterable
from datetime import UTC, datetime

from unified_ranker.core.errors import UserError
from unified_ranker.log.check import Check
from unified_ranker.log.content_checks import content_checks
from unified_ranker.log.schema import InteractionLog, Table, has_values, try_normalise
from unified_ranker.log.table_checks import absence_checks, finite_numbers, known_columns

__all__ = ["Check", "require", "validate_tables"]


def validate_tables(
    events: Table,
    items: Table,
    users: Table | None = None,
    *,
    now: datetime | None = None,
) -> tuple[InteractionLog | None, list[Check]]:
    """Check tables as they were read, in form and in content.

    Args:
        events: `[events, columns]`.
        items: `[items, columns]`.
        users: `[users, columns]`, or None to derive the table from the events.
        now: the present, for times in the future; None asks the clock.

    Returns:
        The log in canonical form, or None when the tables do not have its form, and the checks in a fixed
        order.
    """
    tables = {"events": events, "items": items} | ({} if users is None else {"users": users})
    log, problems = try_normalise(events, items, users)
    checks = [
        Check(p.rule, passed=False, count=p.count, examples=p.examples, what_to_do=p.remedy, found=p.found)
        for p in problems
    ]
    if not checks:
        checks.append(Check("the tables have the required columns, of the right types", passed=True))
    checks += [known_columns(events), *finite_numbers(tables)]
    checks += [check for name, table in tables.items() for check in absence_checks(name, table)]
    if log is not None:
        checks += content_checks(log, now or datetime.now(UTC), title_given=has_values(items, "title"))
    return log, checks


def require(checks: Iterable[Check]) -> None:
    """Raise `UserError` with the line of every check that failed as an error; do nothing when none did."""
    failed = [check.line() for check in checks if check.failed]
    if failed:
        raise UserError("\n".join(failed))
