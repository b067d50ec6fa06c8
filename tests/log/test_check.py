"""Order of checks: what passes, what failed, then warnings by harm; each warning ends with a line that mends it."""

import re
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unified_ranker.log.check import Check, in_order
from unified_ranker.log.log_checks import validate_tables
from unified_ranker.log.row_rules import Harm

NOW = datetime(2024, 6, 1, tzinfo=UTC)
TIMES = [NOW - timedelta(days=30, minutes=n) for n in range(8)]
SAME = {"user_id": ["u1"] * 8, "item_id": ["i1"] * 8, "timestamp": TIMES[:1] * 8}
LINE = re.compile(r"`data\.[^`]+`")
"""A line of project.yaml."""
checks = st.builds(
    Check,
    name=st.text(max_size=3),
    passed=st.booleans(),
    count=st.integers(0, 9),
    severity=st.sampled_from(["error", "warning"]),
    total=st.sampled_from([0, 9]),
    harm=st.sampled_from(Harm),
)


@given(st.lists(checks, max_size=12))
def test_warnings_come_after_what_failed_in_order_of_harm(given_checks):
    shown = in_order(given_checks)
    assert sorted(map(id, shown)) == sorted(map(id, given_checks))
    verdicts = ["FAIL" if check.failed else "PASS" if check.passed else "WARN" for check in shown]
    assert verdicts == sorted(verdicts, key=["PASS", "FAIL", "WARN"].index)
    harms = [check.harm for check in shown if not check.passed and not check.failed]
    assert harms == sorted(harms)


POOR = {
    "future": {"events": {"timestamp": [NOW + timedelta(days=9), *TIMES[1:]]}},
    "country": {"events": {"country": ["gb", *["GB"] * 7]}},
    "before creation": {"items": {"created_at": [NOW, *[None] * 3]}},
    "no titles": {"items": {"title": ["", "", None, " "]}},
    "an unknown user": {"events": {"user_id": ["new", *["u1"] * 7]}},
    "an absent word": {"events": {"query": ["-", *["hat"] * 7]}},
    "a further column": {"events": {"device": ["phone"] * 8}},
    "two spellings": {"events": {"event_type": ["Click", *["click"] * 7]}},
    "a repeated event": {"events": SAME},
}


def tables(events=None, items=None):
    """Return events, items and users without a fault but those of the given columns."""
    sound = {"user_id": [f"u{n % 3}" for n in range(8)], "item_id": [f"i{n % 4}" for n in range(8)]}
    sound |= {"task": ["feed"] * 8, "event_type": ["click"] * 8, "timestamp": TIMES}
    return (
        pa.table(sound | (events or {})),
        pa.table({"item_id": [f"i{n}" for n in range(4)], "title": list("abcd")} | (items or {})),
        pa.table({"user_id": ["u0", "u1", "u2"]}),
    )


@pytest.mark.parametrize("case", POOR)
def test_each_warning_ends_with_a_line_that_mends_it(case):
    _, found = validate_tables(*tables(**POOR[case]), now=NOW)
    warned = [check.line() for check in found if not check.passed and not check.failed]
    assert warned
    for line in warned:
        assert LINE.search(line.split(" → ")[1]), line


def test_the_worst_of_a_poor_log_comes_first_and_the_order_survives_the_shards():
    first = [TIMES[-1] + timedelta(days=n) for n in range(4)]
    events, items, users = tables(events={"device": ["phone"] * 8, "event_type": ["Click", *["click"] * 7]})
    _, found = validate_tables(events, items.append_column("created_at", pa.array(first)), users, now=NOW)
    warned = [check.name for check in in_order(found) if not check.passed]
    assert warned.index("events happen after their item's created_at") < warned.index(
        "events.event_type has one spelling for each value"
    )
    assert warned[-1] == "events has no column beyond the contract"
