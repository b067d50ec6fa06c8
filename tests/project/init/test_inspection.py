"""The rules by which `init` looks at columns and events, one by one."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from toy_shop import START, rows

from unified_ranker.config.yaml_files import parse_yaml
from unified_ranker.log.schema import normalise
from unified_ranker.project.init.inspect_columns import coordinates, inspect_column, percent, without_twins
from unified_ranker.project.init.inspect_events import inspect_events
from unified_ranker.project.init.project_text import batch_for, epochs_for
from unified_ranker.project.init.tower_text import freshness_scale, history_length, trend_windows
from unified_ranker.project.init.yaml_page import YamlPage, flow

COLUMNS = {
    "title": (["one", "two", "three"], "text", 1),
    "title that repeats": (["one two three four"] * 9 + ["five"], "category", 1),
    "sentences": ([f"a whole sentence number {i}" for i in range(40)], "text", 1),
    "gender": (["f", "m", None] * 10, "category", 1),
    "flag": ([True, False, None] * 10, "category", 1),
    "constant": (["x", None, "x"], None, 1),
    "absent": ([None, None], None, 1),
    "codes": ([f"c{i}" for i in range(100)], None, 1),
    "authors": ([f"a{i}" for i in range(80)] + [f"a{i % 8}" for i in range(40)], "category", 5),
    "too few regulars": ([f"a{i}" for i in range(200)] + ["a0"] * 8, None, 1),
    "store_id": ([i % 4 for i in range(40)], "category", 1),
    "price": ([1.0] * 95 + [500.0] * 5, "number", 1),
    "index": (list(range(80)), None, 1),
    "ages, each once": (list(range(20, 50)), "number", 1),
    "one number": ([3.0, None, 3.0], None, 1),
    "tags": ([["a"], ["b", "a"], []] * 5, "categories", 1),
    "unique tags": ([[f"t{i}"] for i in range(9)], None, 1),
    "lists of numbers": ([[1, 2], [3]], None, 1),
    "born": ([START, START + timedelta(days=1)], None, 1),
}


@pytest.mark.parametrize(("values", "kind", "least"), COLUMNS.values(), ids=COLUMNS)
def test_a_column_is_what_its_values_say(values, kind, least, request):
    name = request.node.callspec.id
    table = pa.table({"item_id": [str(i) for i in range(len(values))], name: values})
    log = normalise(rows("t", "e", 3), table)
    finding = inspect_column(log.items[name])
    assert (finding.type, finding.min_count) == (kind, least)
    assert finding.why


SOME = [40.5, 41.0, 42.5]


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        ({"latitude": SOME, "longitude": SOME}, ("latitude", "longitude")),
        ({"Lon": SOME, "Lat": SOME}, ("Lat", "Lon")),
        ({"shop_lat": SOME, "home_long": SOME, "shop_long": [0, 1, 2]}, ("shop_lat", "shop_long")),
        ({"latitude": SOME, "longitude": [None, None, 3.0]}, None),
        ({"latitude": SOME, "longitude": [5.0, 5.0, 5.0]}, None),
        ({"latitude": [91.0, 2.0, 3.0], "longitude": SOME}, None),
        ({"latitude": ["n", "s", "s"], "longitude": SOME}, None),
        ({"lat": SOME}, None),
        ({"lat": SOME, "length": SOME}, None),
        ({"flat_area": SOME, "flon_area": SOME}, None),
    ],
)
def test_coordinates_are_recognised_by_name_range_and_number(columns, found):
    assert coordinates(pd.DataFrame(columns)) == found


@pytest.mark.parametrize(
    ("values", "log"),
    [
        ([1.0] * 95 + [500.0] * 5, True),
        ([0.0] * 95 + [500.0] * 5, True),
        ([-1.0] + [1.0] * 95 + [500.0] * 5, False),
        ([1990.0, 2000.0, 2010.0, None], False),
        ([20.0, 30.0, 99.0], False),
    ],
)
def test_numbers_with_a_long_tail_are_taken_by_their_logarithm(values, log):
    assert inspect_column(pd.Series(values, name="x")).log is log


def feed(*visits):
    """Inspect a feed whose visits are (user, hour, items), an event a minute."""
    events = [
        {"user_id": user, "item_id": item, "timestamp": START + timedelta(hours=hour, minutes=minute)}
        for user, hour, items in visits
        for minute, item in enumerate(items)
    ]
    items = pa.table({"item_id": sorted({event["item_id"] for event in events})})
    log = normalise(pd.DataFrame(events).assign(task="feed", event_type="click"), items)
    (surface,) = inspect_events(log).surfaces
    return surface


def test_a_feed_offers_again_what_users_had_a_day_before():
    once, again = ("u", 0, "abcd"), ("u", 24, "abxy")
    assert feed(once, again).again_share == 0.5
    assert feed(once, again).offers_again
    # An hour later is the same visit, and so is the same item several times within one.
    assert feed(once, ("u", 1, "abcd")).again_share == 0
    several = feed(("u", 0, "aaaa"), ("u", 1, "aaaa"), ("u", 30, "bbbb"))
    assert (several.repeat_share, several.again_share, several.offers_again) == (10 / 12, 0, False)


def test_what_a_user_had_on_another_surface_counts_as_had_but_not_as_repeated():
    events = [
        ("u", "feed", "a", 0),
        ("u", "more", "a", 1),
        ("u", "more", "b", 1),
        ("v", "more", "a", 2),
        (None, "more", "a", 3),
    ]
    rows = [
        {"user_id": user, "task": task, "item_id": item, "timestamp": START + timedelta(hours=hour)}
        for user, task, item, hour in events
    ]
    log = normalise(
        pd.DataFrame(rows).assign(event_type="click", source_item_id="b"), pa.table({"item_id": ["a", "b"]})
    )
    shares = {s.task: (s.had_share, s.repeat_share) for s in inspect_events(log).surfaces}
    assert shares == {"feed": (0, 0), "more": (1 / 3, 0)}


def test_users_who_come_once_and_strangers_do_not_decide_whether_a_feed_offers_again():
    visits = [("u", 0, "abcd"), ("u", 48, "abxy")]
    crowd = [(f"v{n}", 9, "abcd") for n in range(20)] + [(None, hour, "abcd") for hour in (0, 40, 80)]
    assert feed(*visits, *crowd).again_share == feed(*visits).again_share == 0.5


def test_a_feed_offers_again_from_a_quarter_on():
    assert feed(("u", 0, "abcd"), ("u", 24, "awxy")).offers_again
    assert not feed(("u", 0, "abcd"), ("u", 24, "avwxy")).offers_again


def test_lengths_scales_and_windows_follow_the_counts():
    assert [history_length(n) for n in (0, 20, 21, 60, 100, 5000)] == [20, 20, 32, 64, 100, 100]
    assert [freshness_scale(d) for d in (0, 0.4, 2, 5, 168, 9000)] == [0.25, 0.5, 2, 7, 180, 365]
    assert [list(trend_windows(d)) for d in (0.2, 1, 9, 60, 373)] == [
        [],
        ["last_hour"],
        ["last_hour", "last_day"],
        ["last_hour", "last_day", "last_week"],
        ["last_hour", "last_day", "last_week", "last_month"],
    ]
    assert [epochs_for(n) for n in (10, 136_129, 754_211)] == [20, 18, 3]
    assert [batch_for(n) for n in (10, 3_300, 10_000, 500_000)] == [32, 64, 128, 2048]


def test_shares_say_when_they_are_not_quite_all_or_nothing():
    shares = (0.0, 0.34, 0.1, 1.0, 0.0004, 0.9998, 0.996)
    assert [percent(s) for s in shares] == ["0 %", "34 %", "10 %", "100 %", "0.04 %", "99.98 %", "99.6 %"]


@example("\x85 \u2028", "\x85")
@example("# - key: x", "a: b # c")
@example("\x00\ufffe", "null")
@example("\n", "\n")
@example("", " \n # x")
@example("", "0e0")
@given(st.text(), st.text())
def test_names_from_the_data_cannot_break_a_file(comment, value):
    page = YamlPage()
    page.note(f"`{comment}` was seen.", 2)
    page.put("key", value)
    page.begin("list")
    page.item({"column": value})
    assert parse_yaml(page.text()) == {"key": value, "list": [{"column": value}]}
    assert "\n" not in flow(value)


def coded(name, numbers, activity=None):
    values = pd.Series(pd.array(numbers, dtype="Int64"), name=name)
    return inspect_column(values, None if activity is None else np.asarray(activity, float)).type


def test_whole_numbers_whose_order_says_nothing_are_a_category():
    rng = np.random.default_rng(7)
    codes = rng.integers(0, 8, 800)
    popular = np.array([3.0, 0.5, 2.0, 0.1, 1.5, 2.5, 0.2, 1.0])[codes] + rng.normal(0, 0.5, 800)
    assert coded("aisle", codes, popular) == "category"
    assert coded("aisle", codes, rng.normal(0, 1, 800)) == "category"
    assert coded("aisle", codes) == "category"
    # The more floors, the more visits: an amount, rising or falling.
    assert coded("floors", codes, codes + rng.normal(0, 2, 800)) == "number"
    assert coded("floors", codes, -codes + rng.normal(0, 2, 800)) == "number"


def test_whole_numbers_with_many_values_or_few_rows_each_or_the_name_of_an_amount_are_numbers():
    rng = np.random.default_rng(7)
    assert coded("things", rng.integers(0, 500, 9000)) == "number"
    assert coded("things", [1, 2, 3, 4] * 5) == "number"
    assert coded("num_pages", [1, 2, 3, 4] * 50) == "number"
    assert coded("things", [-1, 2, 3, 4] * 50) == "number"


@pytest.mark.parametrize("name", ["product_type_no", "colourGroupCode", "dept_id", "zip"])
def test_a_name_of_codes_makes_whole_numbers_a_category_however_many(name):
    assert coded(name, [n % 300 for n in range(3000)]) == "category"


def test_a_scale_with_an_open_end_is_a_category():
    household = pd.Series(["1", "2", "3", "4", "5+"] * 20, name="household_size", dtype="str")
    assert inspect_column(household).type == "category"


def test_codes_beside_their_names_are_left_out():
    colour = pd.Series(["red", "blue", "red", None, "green"] * 20, dtype="str")
    codes = colour.map({"red": 3, "blue": 1, "green": 2}).astype("Int64")
    nearly = codes.copy()
    nearly[0] = 1
    table = pd.DataFrame({"colour_no": codes, "colour": colour, "other_no": nearly})
    found = list(without_twins(table, [inspect_column(table[c]) for c in table]))
    assert [(f.column, f.type) for f in found] == [
        ("colour_no", None),
        ("colour", "category"),
        ("other_no", "category"),
    ]
    assert found[0].why == "says the same as `colour`"
