"""`init` on logs with events of no item: searches and filters are no positives, and most rows must be usable."""

import pandas as pd
import pytest
from drawn_log import choose, csv, drawn, stamped
from small_project import cli
from toy_shop import comment_above

from unified_ranker.config.loading import load_config
from unified_ranker.log.schema import normalise
from unified_ranker.project.init.types_of_no_item import types_of_no_item
from unified_ranker.project.workspace import Workspace

CATALOGUE = pd.DataFrame(
    {"item_id": [f"h{n}" for n in range(40)], "title": [f"Hotel {n} by the sea" for n in range(40)]}
)


def log(**types):
    """Return events whose types have the shares of `types`, all of an item."""
    e = drawn()
    kinds = choose(e.draw, types)
    return pd.DataFrame(
        {"user_id": [f"u{n}" for n in e.user], "item_id": [f"h{n}" for n in e.item], "event_type": kinds,
         "timestamp": stamped(e.time)}
    )  # fmt: skip


def of_no_item(events, what):
    """Give the searches and filters of a log what such events name."""
    rows = events["event_type"].isin(["search for poi", "filter"])
    names = {
        "nothing": None,
        "words": [f"Hotels near sight {'abc'[n % 3]}, Rome" for n in range(rows.sum())],
        "mostly words": [f"h{n % 9}" if n % 12 == 0 else f"Pool {'abc'[n % 3]}" for n in range(rows.sum())],
    }
    return events.assign(item_id=events["item_id"].mask(rows, pd.Series(names[what], events.index[rows], "object")))


def written(folder, events, items):
    csv(events, folder / "log" / "events.csv")
    if items:
        csv(CATALOGUE, folder / "log" / "items.csv")
    return cli("init", folder / "shop", "--from", folder / "log")


@pytest.mark.parametrize("items", [True, False], ids=["catalogue", "no catalogue"])
@pytest.mark.parametrize("what", ["nothing", "words", "mostly words"])
def test_event_types_of_no_item_are_left_out_and_said_so(what, items, tmp_path):
    events = of_no_item(log(click=6, **{"search for poi": 3, "filter": 1}), what)
    shown = written(tmp_path, events, items)
    assert shown.exit_code == 0, shown.output
    config = load_config(tmp_path / "shop")
    assert config.project.data.without_item == ("search for poi", "filter")
    assert [p.event_type for p in config.tasks["home_feed"].positives] == ["click"]
    evidence = comment_above(tmp_path / "shop", "project.yaml", "without_item")
    assert f"`filter` ({(events.event_type == 'filter').sum()} events)" in evidence
    assert "name nothing" in evidence if what == "nothing" else "something else than an item" in evidence
    checked = cli("validate", "--project", tmp_path / "shop")
    assert checked.exit_code == 0, checked.output
    tables = Workspace(tmp_path / "shop", config).read_tables()
    found = normalise(tables.events, tables.items, tables.users)
    assert len(found.events) == (events.event_type == "click").sum()
    assert found.items["item_id"].str.fullmatch(r"h\d+").all()


def test_a_catalogue_of_something_else_makes_no_type_one_of_no_item():
    events = log(click=1).assign(task="home_feed")
    other = CATALOGUE.assign(item_id=[f"x{n}" for n in range(40)])
    assert types_of_no_item(normalise(events, other), catalogue=True) == ()


def test_products_with_names_beside_products_with_numbers_are_items():
    """Only where nothing of one type has a digit and everything of the others has one do names say anything."""
    events = log(click=6, like=4).assign(task="home_feed")
    liked = events["event_type"] == "like"
    events["item_id"] = events["item_id"].mask(liked, "model-" + events["item_id"].astype(str))
    items = pd.DataFrame({"item_id": events["item_id"].unique()})
    assert types_of_no_item(normalise(events, items), catalogue=False) == ()


@pytest.mark.parametrize(
    ("share", "declared"), [(0.0, 0.0), (0.012, 0.02), (0.049, 0.05), (0.08, None)], ids=["none", "few", "5 %", "many"]
)
def test_few_rows_without_an_item_are_tolerated_and_more_are_said_loudly(share, declared, tmp_path):
    events = log(click=1)
    lost = round(share * len(events))
    events.loc[events.sample(lost, random_state=1).index, "item_id"] = None
    shown = written(tmp_path, events, items=True)
    assert shown.exit_code == 0, shown.output
    config = load_config(tmp_path / "shop")
    ready = "unified-ranker build" in shown.stdout
    assert ready == (declared is not None)
    assert config.project.data.max_bad_share == (declared or 0.0)
    if lost and ready:
        assert f"events.item_id is present: {lost} rows" in comment_above(
            tmp_path / "shop", "project.yaml", "max_bad_share"
        )
    if not ready:
        assert "`unified-ranker validate` will fail" in shown.stdout
        assert f"FAIL events.item_id is present: {lost} of" in shown.stdout
    assert f"Data: {len(events) - lost} of" in (tmp_path / "shop" / "tasks" / "home_feed.yaml").read_text()
    checked = cli("validate", "--project", tmp_path / "shop")
    assert (checked.exit_code == 0) == ready, checked.output


UNUSABLE = {
    "items of another catalogue": lambda e: e.assign(item_id="x" + e["item_id"]),
    "times in the future": lambda e: e.assign(timestamp=e["timestamp"] + pd.Timedelta(days=365 * 90)),
    "most items blank": lambda e: e.assign(item_id=e["item_id"].where(e.index % 3 == 0)),
}


@pytest.mark.parametrize("change", UNUSABLE.values(), ids=UNUSABLE)
def test_no_project_is_written_where_most_rows_cannot_be_used(change, tmp_path):
    csv(change(log(click=1)), tmp_path / "log" / "events.csv")
    csv(CATALOGUE, tmp_path / "log" / "items.csv")
    shown = cli("init", tmp_path / "shop", "--events", tmp_path / "log" / "events.csv",
                "--items", tmp_path / "log" / "items.csv", "--yes")  # fmt: skip
    assert shown.exit_code == 2
    assert "most rows cannot be used" in shown.stderr
    assert "→" in shown.stderr
    assert not (tmp_path / "shop").exists()
