"""`init` on logs whose times lie otherwise: in two columns, as days of spreadsheets, some far from all others."""

import pandas as pd
import pytest
from drawn_log import csv, drawn, stamped
from small_project import cli
from toy_shop import comment_above

from unified_ranker.config.loading import load_config
from unified_ranker.log.schema import normalise
from unified_ranker.project.workspace import Workspace

E = drawn()
TIMES = pd.Series(stamped(E.time))
LOG = pd.DataFrame({"user_id": [f"u{n}" for n in E.user], "item_id": [f"i{n}" for n in E.item]})
SERIAL = (TIMES.dt.tz_convert(None) - pd.Timestamp("1899-12-30")) / pd.Timedelta(days=1)
FORMS = {
    "date and time": ({"date": TIMES.dt.strftime("%d/%m/%Y"), "time": TIMES.dt.strftime("%H:%M:%S")}, "s"),
    "date and hour": ({"hour": TIMES.dt.hour, "event_date": TIMES.dt.strftime("%Y-%m-%d")}, "h"),
    "numbers": ({"day": TIMES.dt.strftime("%Y%m%d"), "clock_time": TIMES.dt.strftime("%H%M")}, "min"),
    "Datum und Uhrzeit": ({"Datum": TIMES.dt.strftime("%d.%m.%Y"), "Uhrzeit": TIMES.dt.strftime("%H:%M")}, "min"),
    "spreadsheet": ({"order_date": SERIAL}, "s"),
    "days of a spreadsheet": ({"order_date": SERIAL.astype(int)}, "D"),
    "a time, and an hour besides": ({"time": TIMES.dt.strftime("%Y-%m-%d %H:%M:%S"), "hour": TIMES.dt.hour}, "s"),
}


def events_of(shop):
    config = load_config(shop)
    tables = Workspace(shop, config).read_tables()
    return config.project.data, normalise(tables.events, tables.items, tables.users).events


@pytest.mark.parametrize(("columns", "step"), FORMS.values(), ids=FORMS)
def test_times_are_found_wherever_they_lie(columns, step, tmp_path):
    csv(LOG.assign(**columns), tmp_path / "log.csv")
    shown = cli("init", tmp_path / "shop", "--events", tmp_path / "log.csv", "--event-type", "view")
    assert shown.exit_code == 0, shown.output
    _, events = events_of(tmp_path / "shop")
    keys = ["timestamp", "user_id", "item_id"]
    wanted = LOG.assign(timestamp=TIMES.dt.floor(step)).sort_values(keys, ignore_index=True)
    found = events[keys].sort_values(keys, ignore_index=True)
    assert found["user_id"].tolist() == wanted["user_id"].tolist()
    assert (found["timestamp"] - wanted["timestamp"]).abs().max() < pd.Timedelta(milliseconds=1)


@pytest.mark.parametrize(("far", "side"), [("1971-01-01", "earliest"), ("2024-06-01", "latest")])
def test_times_far_from_all_others_are_left_out_by_declaration(far, side, tmp_path):
    times = TIMES.copy()
    times[[3, 50]] = pd.Timestamp(far, tz="UTC")
    csv(LOG.assign(timestamp=times), tmp_path / "log.csv")
    shown = cli("init", tmp_path / "shop", "--events", tmp_path / "log.csv")
    assert shown.exit_code == 0, shown.output
    data, events = events_of(tmp_path / "shop")
    assert len(events) == len(LOG) - 2
    others = times[times != pd.Timestamp(far, tz="UTC")]
    bound = getattr(data, side)
    assert bound.date() == (others.min() if side == "earliest" else others.max()).date()
    assert f"{far}T00:00:00Z; so many events: 2" in comment_above(tmp_path / "shop", "project.yaml", side)
    checked = cli("validate", "--project", tmp_path / "shop")
    assert "WARN events.timestamp" not in checked.output
