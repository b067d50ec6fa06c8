"""Events that a declaration leaves out: they are neither events nor bad rows, and are counted."""

import pandas as pd
import pytest
from drawn_log import choose, drawn, stamped
from pydantic import ValidationError
from reading_toy import quarantined, read_log

from unified_ranker.config import TablesSource
from unified_ranker.project.log_files import loaded

E = drawn()
LOG = pd.DataFrame(
    {"user_id": [f"u{n}" for n in E.user], "item_id": [f"i{n}" for n in E.item], "task": "home_feed",
     "event_type": choose(E.draw, {"click": 5, "search": 3, "login": 2}), "timestamp": stamped(E.time)}
)  # fmt: skip
LOG["item_id"] = LOG["item_id"].where(LOG["event_type"] != "login").where(LOG.index % 50 != 7, None)
EARLY, LATE = stamped([E.time.quantile(0.1), E.time.quantile(0.8)]).round("s")
DECLARED = {
    "types": ({"without_item": ["search", "login", "no such"]}, ~LOG.event_type.isin(["search", "login"])),
    "early": ({"earliest": EARLY.isoformat()}, LOG.timestamp >= EARLY),
    "a day": ({"earliest": "2019-10-05"}, LOG.timestamp >= pd.Timestamp("2019-10-05", tz="UTC")),
    "late": ({"latest": LATE.isoformat()}, LOG.timestamp <= LATE),
    "all": (
        {"without_item": ["login"], "earliest": EARLY.isoformat(), "latest": LATE.isoformat()},
        (LOG.event_type != "login") & LOG.timestamp.between(EARLY, LATE),
    ),
}


@pytest.mark.parametrize("file", ["events.csv", "events.parquet"])
@pytest.mark.parametrize(("data", "kept"), DECLARED.values(), ids=DECLARED)
def test_what_is_left_out_is_not_read_and_counted(data, kept, file, tmp_path):
    LOG.to_csv(tmp_path / file, index=False) if file.endswith("csv") else LOG.to_parquet(tmp_path / file)
    found = read_log(tmp_path, {"events": file, **data})
    events = loaded(found).events.to_pandas()
    keys = ["user_id", "event_type", "timestamp"]
    wanted = LOG[kept][keys].astype({"timestamp": events["timestamp"].dtype})
    pd.testing.assert_frame_equal(
        events[keys].sort_values(keys, ignore_index=True).astype(str),
        wanted.sort_values(keys, ignore_index=True).astype(str),
    )
    left_out = [int(note.split()[-1].replace(",", "")) for note in found.read.notes if "are left out" in note]
    assert sum(left_out) == (~kept).sum()
    assert quarantined(found) == []


def test_items_of_events_that_are_left_out_are_no_items(tmp_path):
    LOG.assign(item_id=LOG.item_id.where(LOG.event_type != "search", "Rome")).to_csv(tmp_path / "e.csv", index=False)
    items = loaded(read_log(tmp_path, {"events": "e.csv", "without_item": ["search"]})).items
    assert "Rome" not in items["item_id"].to_pylist()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"earliest": "2020-01-02", "latest": "2020-01-01"}, "`latest` must not lie before `earliest`"),
        ({"earliest": "2020-01-02", "order": "row"}, "a log without times"),
    ],
)
def test_bounds_that_leave_nothing_are_refused(data, said):
    with pytest.raises(ValidationError, match=said):
        TablesSource.model_validate({"type": "tables", "events": "e.csv", **data})
