"""Proposal of columns: tables of strangers, by names in many spellings and by what the values are."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from unified_ranker.core.errors import UserError
from unified_ranker.project.init.column_choices import read_said
from unified_ranker.project.init.project_plan import Given, plan_project
from unified_ranker.project.init.propose_columns import propose_columns
from unified_ranker.project.init.raw_columns import raw_columns

ROWS = 300
RNG = np.random.default_rng(11)
USER, ITEM = RNG.integers(100, 140, ROWS), RNG.integers(0, 50, ROWS)
SECONDS = 1_569_888_000 + RNG.integers(0, 5_000_000, ROWS)
ISO = pd.to_datetime(SECONDS, unit="s").strftime("%Y-%m-%d %H:%M:%S")


def text(values):
    """Return values as a CSV holds them."""
    return [str(v) for v in values]


def propose(events, items=None, users=None, columns=(), name="log.csv", timed=True, **constants):
    """Return the source of each column of ours, as project.yaml writes it, and the doubts, both by path."""
    given = {"events": events, "items": items, "users": users}
    tables = {table: raw_columns(pa.table(values)) for table, values in given.items() if values is not None}
    choices = propose_columns(tables, read_said(columns, constants), {"events": name}, timed)
    sources = {c.path: None if c.source is None else c.source.model_dump(mode="json") for c in choices}
    return sources, {c.path: c.doubt for c in choices if c.doubt}


def events(**columns):
    return {"who": text(USER), "what": text(ITEM), "when": list(ISO)} | columns


def named(user, item, time):
    return {user: text(USER), item: text(ITEM), time: text(SECONDS)}


@pytest.mark.parametrize(
    "names",
    [
        ("visitorid", "itemid", "timestamp"),
        ("uid", "iid", "ts"),
        ("reviewerID", "asin", "unixReviewTime"),
        ("customer_id", "article_id", "t_dat"),
        ("CustomerID", "StockCode", "InvoiceDate"),
        ("id_usuario", "id_producto", "fecha"),
        ("kundennr", "artikelnr", "bestelldatum"),
        ("personId", "contentId", "eventTime"),
    ],
    ids="/".join,
)
def test_names_of_the_trade_are_recognised(names):
    sources, doubts = propose(named(*names))
    assert (sources["user_id"], sources["item_id"], sources["timestamp"]) == names
    assert not doubts


def test_the_column_that_holds_the_keys_of_the_items_is_the_item():
    items = {"parent_asin": [f"P{i}" for i in range(50)], "title": [f"a thing {i}" for i in range(50)]}
    table = named("user_id", "nr", "timestamp") | {
        "asin": [f"P{i}" if n % 2 else f"V{i}" for n, i in enumerate(ITEM)],
        "parent_asin": [f"P{i}" for i in ITEM],
        "title": ["good thing"] * ROWS,
    }
    del table["nr"]
    sources, doubts = propose(table, items)
    assert (sources["item_id"], sources["items.item_id"], sources["items.title"]) == (
        "parent_asin",
        "parent_asin",
        "title",
    )
    assert not doubts
    # Without a name that says anything, the keys alone decide, for users likewise.
    users = {"nummer": text(range(100, 140)), "alter": text(range(40))}
    sources, doubts = propose(
        {"a": text(USER), "b": [f"P{i}" for i in ITEM], "c": text(ITEM % 5), "zeit": list(ISO)},
        {"x": [f"P{i}" for i in range(50)], "y": text(range(50))},
        users,
    )
    assert (sources["user_id"], sources["item_id"], sources["items.item_id"], sources["users.user_id"]) == (
        "a",
        "b",
        "x",
        "nummer",
    )
    assert not doubts


def test_numbers_that_a_key_of_another_name_holds_too_are_not_it():
    sources, doubts = propose(
        named("userId", "movieId", "timestamp"), {"movieId": text(range(200)), "title": text(range(200))}
    )
    assert (sources["user_id"], sources["item_id"]) == ("userId", "movieId")
    assert not doubts


def test_prices_amounts_orders_and_categories_are_nothing_of_ours():
    table = named("user_id", "product_id", "event_time") | {
        "price": text(ITEM / 7),
        "quantity": text(1 + ITEM % 3),
        "order_id": text(range(ROWS)),
        "category_id": text(ITEM % 7),
        "store_id": text(ITEM % 3),
        "user_session": text(range(ROWS)),
    }
    sources, _ = propose(table, {"product_id": text(range(50))})
    assert set(sources) == {"user_id", "item_id", "timestamp", "event_type", "task", "items.item_id"}


def test_what_else_an_event_has_is_found_by_name_and_checked_by_value():
    table = named("user", "item", "time") | {
        "action": list(RNG.choice(["view", "buy"], ROWS)),
        "search_term": [f"red shoe {i % 9}" for i in ITEM],
        "stars": text(1 + ITEM % 5),
        "country": list(RNG.choice(["gb", "de"], ROWS)),
        "slot": text(ITEM % 10),
        "impression_id": text(range(ROWS)),
        "source_product": text((ITEM + 1) % 50),
    }
    sources, doubts = propose(table)
    assert not doubts
    assert {
        path: sources[path] for path in ("event_type", "query", "value", "position", "request_id", "source_item_id")
    } == {
        "event_type": "action",
        "query": "search_term",
        "value": "stars",
        "position": "slot",
        "request_id": "impression_id",
        "source_item_id": "source_product",
    }
    assert sources["country"]["column"] == "country"
    assert sources["country"]["values"] == {"gb": "GB", "de": "DE"}
    assert sources["task"] == {"value": "search"}
    # The same names with values that cannot be it.
    table |= {
        "stars": ["good"] * ROWS,
        "country": ["the north"] * ROWS,
        "slot": ["left"] * ROWS,
        "source_product": text(SECONDS),
    }
    assert not {"value", "position", "source_item_id"} & set(propose(table)[0])


@pytest.mark.parametrize(
    ("name", "extra", "event_type"),
    [
        ("transactions_train.csv", {}, "purchase"),
        ("ratings.dat", {"rating": text(1 + ITEM % 5)}, "rating"),
        ("data.csv", {"rating": text(1 + ITEM % 5)}, "rating"),
        ("userid-timestamp-traname.tsv", {"track_name": ["x"] * ROWS}, "play"),
        ("data.csv", {}, "interaction"),
    ],
)
def test_an_event_type_that_no_column_says_is_a_constant(name, extra, event_type):
    sources, doubts = propose(named("user", "item", "time") | extra, name=name)
    assert (sources["event_type"], sources["task"]) == ({"value": event_type}, {"value": "home_feed"})
    assert not doubts


def test_a_log_of_sessions_has_a_user_for_each_and_a_session_is_needed_where_users_are_absent():
    assert propose(named("sessionId", "itemId", "timestamp"))[0]["user_id"] == "sessionId"
    table = named("user_id", "item_id", "timestamp") | {"session": text(ITEM)}
    assert "session_id" not in propose(table)[0]
    anonymous = table | {"user_id": [None if n % 3 == 0 else u for n, u in enumerate(text(USER))]}
    assert propose(anonymous)[0]["session_id"] == "session"
    words = table | {"user_id": ["NULL" if n % 3 == 0 else u for n, u in enumerate(text(USER))]}
    assert propose(words)[0]["session_id"] == "session"


def test_what_is_not_clear_is_a_doubt_and_what_a_person_says_counts():
    table = named("visitor_id", "item_id", "timestamp") | {"customer_id": text(USER + 1)}
    assert "`visitor_id`, `customer_id`" in propose(table)[1]["user_id"]
    sources, doubts = propose(table, columns=["user_id=customer_id"])
    assert (sources["user_id"], doubts) == ("customer_id", {})
    sources, doubts = propose({"a": text(USER), "b": text(ITEM), "c": text(ITEM % 3)})
    assert sources["user_id"] is sources["item_id"] is sources["timestamp"] is None
    assert set(doubts) == {"user_id", "item_id", "timestamp"}
    assert "`a`, `b`, `c`" in doubts["user_id"]
    assert "--order row" in doubts["timestamp"]
    sources, doubts = propose({"a": text(USER), "b": text(ITEM)}, columns=["user_id=a", "item_id=b"], timed=False)
    assert not doubts
    assert "timestamp" not in sources


def test_a_person_gives_constants_leaves_columns_out_and_declares_options():
    table = named("user_id", "item_id", "timestamp") | {"action": ["view"] * ROWS, "stars": text(1 + ITEM % 5)}
    sources, _ = propose(
        table,
        columns=["value=", "timestamp={column: timestamp, unit: s}", "items.title=stars"],
        event_type="click",
        task="lists",
    )
    assert (sources["event_type"], sources["task"]) == ({"value": "click"}, {"value": "lists"})
    assert sources["timestamp"] == {"column": "timestamp", "unit": "s"}
    assert sources["items.title"] == "stars"
    assert "value" not in sources


def test_identifiers_that_pandas_or_an_exporter_wrote_as_fractions_are_identifiers():
    table = {
        "CustomerID": [f"{u}.0" for u in USER],
        "StockCode": text(ITEM),
        "InvoiceDate": list(ISO),
        "Description": text(ITEM),
    }
    sources, doubts = propose(table, users={"id": text(range(100, 140))})
    assert (sources["user_id"], sources["users.user_id"], sources["item_id"]) == ("CustomerID", "id", "StockCode")
    assert not doubts
    analytics = {
        "user_pseudo_id": [f"{u}.42711" for u in USER],
        "item_id": text(ITEM),
        "event_timestamp": text(SECONDS * 10**6),
    }
    sources, doubts = propose(analytics)
    assert sources["user_id"] == "user_pseudo_id"
    assert sources["timestamp"] == {"column": "event_timestamp", "unit": "us"}


def test_own_names_are_taken_as_they_are():
    table = {
        "user_id": text(USER),
        "item_id": text(ITEM),
        "task": ["home_feed"] * ROWS,
        "event_type": ["click"] * ROWS,
        "timestamp": pd.to_datetime(SECONDS, unit="s", utc=True),
        "visitor": text(USER),
        "product_id": text(ITEM),
        "when": list(ISO),
    }
    sources, doubts = propose(table, {"item_id": text(range(50)), "product_id": text(range(50))})
    assert {path: source for path, source in sources.items() if path.rpartition(".")[2] != source} == {}
    assert not doubts


def test_values_of_a_surface_become_names_of_files():
    table = named("user_id", "item_id", "timestamp") | {"placement": list(RNG.choice(["Home Feed", "similar"], ROWS))}
    assert propose(table)[0]["task"] == {"column": "placement", "values": {"Home Feed": "home_feed"}}
    assert propose(table | {"placement": ["首页"] * ROWS})[0]["task"] == "placement"


@pytest.mark.parametrize(
    ("values", "source"),
    [
        ([["a", "b"], ["a"]] * 20, "tags"),
        (["Comedy|Drama", "Drama"] * 20, "tags"),
        (['["a", "b"]', "['a']"] * 20, "tags"),
        (["Food, Bars", "Bars"] * 20, {"column": "tags", "separator": ","}),
        (["Shoes > Running", "Shoes"] * 20, {"column": "tags", "levels": ">"}),
        (["electronics.phone", "electronics.tv"] * 20, {"column": "tags", "levels": "."}),
        (
            ["Shoes > Running; Hats", "Shoes > Walking", "Hats", "Hats"] * 10,
            {"column": "tags", "separator": ";", "levels": ">"},
        ),
        (["red", "blue"] * 20, None),
        (["Home, Garden & Tools", "Books", "Toys", "Sports, Outdoors"] * 10, None),
        (["Mr. Bean", "Dr. No", "St. Louis", "vol.2"] * 10, None),
        ([f"{i}, {i + 1}" for i in range(0, 80, 2)], None),
    ],
)
def test_categories_are_lists_and_text_with_marks_between_what_repeats(values, source):
    items = {"item_id": text(range(40)), "tags": pa.array(values)}
    assert propose(named("user", "item_id", "time"), items)[0].get("items.categories") == source


@pytest.mark.parametrize(
    "text", ["user_id", "=x", "things.user_id=x", "usr_id=x", "timestamp={column: t, unit: weeks}", "a.b.c=d"]
)
def test_what_a_person_says_must_be_of_the_form(text):
    with pytest.raises(UserError, match="--map"):
        read_said([text], {})


MISSAID = {
    "a required column left out": (["user_id="], {}, "`user_id` is required"),
    "the item's, too": (["item_id="], {}, "`item_id` is required"),
    "the time's, too": (["timestamp="], {}, "`timestamp` is required"),
    "a unit that is none": (["timestamp={column: when, unit: parsec}"], {}, "`unit`: Input should be"),
    "an option that is none": (["value={column: stars, unitt: s}"], {}, "`unitt`"),
    "a blank type": ([], {"event_type": " "}, "`--event-type` must be a name"),
    "a blank surface": ([], {"task": ""}, "`--task` must be a name"),
    "one column for both keys": (["user_id=what", "item_id=what"], {}, "must be two columns. Received: `what`"),
    "a key of a table that is not there": (["items.item_id=what"], {}, "needs a table of items"),
}


@pytest.mark.parametrize(("columns", "constants", "said"), MISSAID.values(), ids=MISSAID)
def test_mistakes_of_a_person_are_named(columns, constants, said, tmp_path):
    pd.DataFrame(events()).to_csv(tmp_path / "log.csv", index=False)
    given = Given({"events": tmp_path / "log.csv"}, columns=tuple(columns), **constants)
    with pytest.raises(UserError, match=said):
        plan_project(tmp_path / "shop", given)
