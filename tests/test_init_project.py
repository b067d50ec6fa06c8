"""`init`: the project that is written for a log loads, fits the log, and says why each choice was made."""

import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unified_ranker.config import (
    AllItems,
    CategoriesFeature,
    CategoryFeature,
    NumberFeature,
    Popularity,
    SampledItems,
    TextFeature,
)
from unified_ranker.data.prepared import prepare
from unified_ranker.declaration_checks import check_declarations
from unified_ranker.declarations import load_config
from unified_ranker.errors import UserError
from unified_ranker.init_project import init_project, project_name
from unified_ranker.inspection.columns import inspect_column, percent
from unified_ranker.inspection.events import rating_top
from unified_ranker.project_text.page import YamlPage, flow
from unified_ranker.project_text.project import batch_for, epochs_for
from unified_ranker.project_text.towers import freshness_scale, history_length, trend_window
from unified_ranker.schema import normalise

ROOT = Path(__file__).parents[1]
START = datetime(2024, 1, 1, tzinfo=UTC)
USERS, ITEMS, DAYS = 30, 60, 200


def rows(task, event_type, count, start=0, **columns):
    """Return `count` events of one kind over `DAYS` days, users and items in turn; `columns` replace or add."""
    base = {
        "user_id": [f"u{(i * 7 + start) % USERS}" for i in range(count)],
        "item_id": [f"i{(i * 13 + start) % ITEMS}" for i in range(count)],
        "task": [task] * count,
        "event_type": [event_type] * count,
        "timestamp": [START + timedelta(days=DAYS * i / count, minutes=start) for i in range(count)],
    }
    return pd.DataFrame(base | columns)


def shop():
    """Return a log with three surfaces, ratings, anonymous signals and columns of every kind."""
    events = pd.concat(
        [
            rows(
                "home_feed",
                "rating",
                300,
                value=[float(i % 5 + 1) for i in range(300)],
                country=["GB", "US", None] * 100,
            ),
            rows("home_feed", "upvote", 80, start=1, user_id=None),
            rows("home_feed", "impression", 500, start=2),
            rows("more_like_this", "click", 120, start=3, source_item_id=[f"i{i % ITEMS}" for i in range(120)]),
            rows("search", "click", 90, start=4, query=[f"red shoe {i}" for i in range(90)]),
        ],
        ignore_index=True,
    )
    items = pd.DataFrame(
        {
            "item_id": [f"i{i}" for i in range(ITEMS)],
            "title": [f"The long story of item number {i}" for i in range(ITEMS)],
            "created_at": [START - timedelta(days=10 - i % 3) for i in range(ITEMS)],
            "categories": [["a", "b"] if i % 2 else ["c"] for i in range(ITEMS)],
            "brand_id": [f"brand{i % 6}" for i in range(ITEMS)],
            "price": [1.0 if i % 20 else 900.0 for i in range(ITEMS)],
            "year": [1950 + i % 30 for i in range(ITEMS)],
            "sku": [f"sku-{i:04}" for i in range(ITEMS)],
            "shelf (aisle)": ["left", "right"] * (ITEMS // 2),
            "kind": ["thing"] * ITEMS,
            "edited_at": [START] * ITEMS,
        }
    )
    users = pd.DataFrame(
        {
            "user_id": [f"u{i}" for i in range(USERS)],
            "country": ["GB", "US", None] * 10,
            "age": [20.0 + i % 40 for i in range(USERS)],
            "occupation": ["cook", "smith", "clerk"] * 10,
            "about me": [f"I am person {i} and I like things" for i in range(USERS)],
        }
    )
    return events, items, users


def write_tables(directory, events, items, users=None):
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, table in (("events", events), ("items", items), ("users", users)):
        if table is not None:
            pq.write_table(pa.Table.from_pandas(table, preserve_index=False), directory / f"{name}.parquet")
        paths.append(None if table is None else directory / f"{name}.parquet")
    return paths


def new_project(tmp_path, events, items, users=None):
    """Write the tables and a project over them; returns its configuration and directory."""
    paths = write_tables(tmp_path / "tables", events, items, users)
    directory = tmp_path / "my shop"
    written = init_project(directory, *paths)
    assert sorted(written) == sorted(p for p in directory.rglob("*") if p.is_file())
    config = load_config(directory)
    failed = [c.line() for c in check_declarations(config, normalise(events, items, users)) if c.failed]
    assert failed == []
    return config, directory


@pytest.fixture(scope="module")
def shop_project(tmp_path_factory):
    return new_project(tmp_path_factory.mktemp("shop"), *shop())


def comment_above(directory, file, words):
    """Return the comment lines, as one text, right above the first line of `file` that has `words`."""
    lines = (directory / file).read_text().splitlines()
    at = next(i for i, line in enumerate(lines) if words in line and not line.lstrip().startswith("#"))
    first = at
    while first and lines[first - 1].lstrip().startswith("#"):
        first -= 1
    return " ".join(line.lstrip().lstrip("#").strip() for line in lines[first:at])


# --- what is written --------------------------------------------------------------------------------------------


def test_every_file_of_a_project_is_there(shop_project):
    _, directory = shop_project
    files = sorted(p.relative_to(directory).as_posix() for p in directory.rglob("*.yaml"))
    assert files == [
        "export/embeddings.yaml",
        "export/serving.yaml",
        "project.yaml",
        "tasks/home_feed.yaml",
        "tasks/more_like_this.yaml",
        "tasks/search.yaml",
        "towers/context.yaml",
        "towers/item.yaml",
        "towers/ranker.yaml",
        "towers/user.yaml",
    ]


def test_columns_become_the_features_that_they_can_be(shop_project):
    config, directory = shop_project
    assert config.towers.item.features == (
        TextFeature(type="text", column="title"),
        CategoriesFeature(type="categories", column="categories"),
        CategoryFeature(type="category", column="brand_id"),
        NumberFeature(type="number", column="price", log=True),
        NumberFeature(type="number", column="year"),
    )
    assert config.towers.user.profile == (
        CategoryFeature(type="category", column="country"),
        NumberFeature(type="number", column="age"),
        CategoryFeature(type="category", column="occupation"),
    )
    assert "100 % distinct, 7.0 words on average" in comment_above(directory, "towers/item.yaml", "column: title")
    assert "67 % of rows have one" in comment_above(directory, "towers/user.yaml", "column: country")


def test_columns_that_are_left_out_are_named_with_the_reason(shop_project):
    _, directory = shop_project
    item = comment_above(directory, "towers/item.yaml", "features:")
    assert "`sku` (nearly every value is its own: 60 distinct in 60 rows)" in item
    assert "`shelf (aisle)`" in item
    assert "rename it" in item
    assert "`kind` (one and the same value everywhere)" in item
    assert "`edited_at` (a time" in item
    assert "`about me`" in comment_above(directory, "towers/user.yaml", "profile:")


def test_a_rating_is_positive_from_four_of_five(shop_project):
    config, directory = shop_project
    (positive,) = config.tasks["home_feed"].positives
    assert (positive.event_type, positive.min_value, positive.head) == ("rating", 4, "like")
    assert config.towers.item.quality["rating"].type == "mean_value"
    assert "300 events by 30 users" in comment_above(directory, "tasks/home_feed.yaml", "min_value")


def test_events_without_any_user_are_a_signal_of_quality_and_no_positive(shop_project):
    config, directory = shop_project
    feature = config.towers.item.quality["upvote_popularity"]
    assert feature == Popularity(type="popularity", event_types=("upvote",))
    assert "upvote" not in str(config.tasks)
    assert "`upvote` (80 events) never names a user" in comment_above(directory, "tasks/home_feed.yaml", "positives")
    assert "80 anonymous `upvote`" in comment_above(directory, "towers/item.yaml", "upvote_popularity")


def test_impressions_are_no_engagement(shop_project):
    config, directory = shop_project
    assert "impression" not in str(config.tasks)
    assert "`impression` (500 events)" in comment_above(directory, "tasks/home_feed.yaml", "positives")


def test_a_feed_excludes_what_was_engaged_with_and_other_surfaces_do_not(shop_project):
    config, directory = shop_project
    flags = {n: (t.first_engagement_only, t.exclude_engaged) for n, t in config.tasks.items()}
    assert flags == {"home_feed": (True, True), "more_like_this": (False, False), "search": (False, False)}
    # 30 users and 60 items in turn: of 120 ratings from 4 up, 60 pairs and each a second time.
    assert "% of users' positives here" in comment_above(directory, "tasks/home_feed.yaml", "first_engagement_only")


def test_a_title_stands_in_for_a_query_only_where_there_is_a_source_item(shop_project):
    config, _ = shop_project
    rules = {name: task.imputation.query for name, task in config.tasks.items()}
    assert rules == {"home_feed": "none", "more_like_this": "source_item_title", "search": "none"}
    assert {task.imputation.country for task in config.tasks.values()} == {"user"}


def test_quality_counts_and_ages(shop_project):
    config, directory = shop_project
    quality = config.towers.item.quality
    assert list(quality) == ["popularity", "trend", "upvote_popularity", "rating", "freshness"]
    assert quality["trend"].window_days == 14
    # Items are created 8 to 10 days before a log of 200 days: about 109 days old at the median event.
    assert quality["freshness"].scale_days == 180
    assert "days old in the median" in comment_above(directory, "towers/item.yaml", "freshness")
    assert config.tasks["home_feed"].quality_weights == {}


def test_young_items_are_looked_for_first(tmp_path):
    events, items, _ = shop()
    items["created_at"] = [START + timedelta(days=DAYS * i / ITEMS) for i in range(ITEMS)]
    age = timedelta(hours=5)
    created = dict(zip(items["item_id"], items["created_at"], strict=True))
    events["timestamp"] = events["item_id"].map(created) + age
    config, _ = new_project(tmp_path, events, items)
    assert config.towers.item.quality["freshness"].scale_days == 0.25
    assert config.tasks["home_feed"].quality_weights == {"freshness": 0.5}
    assert config.tasks["search"].quality_weights == {}


def test_the_context_has_the_fields_that_the_log_fills(shop_project, tmp_path):
    config, _ = shop_project
    everything = ("query", "source_item", "country", "task", "previous_task", "time")
    assert config.towers.context.fields == everything
    events, items, _ = shop()
    plain = events[events["task"] == "home_feed"].drop(columns=["query", "source_item_id", "country"])
    config, _ = new_project(tmp_path, plain, items)
    assert config.towers.context.fields == ("time",)
    assert config.tasks["home_feed"].imputation.country == "none"


def test_what_was_made_by_a_rule_is_declared_so(tmp_path):
    events, items, users = shop()
    events["derived"] = events["task"] == "search"
    config, _ = new_project(tmp_path, events, items, users)
    assert {n for n, t in config.tasks.items() if t.derived} == {"search"}


def test_the_projects_examples_can_be_prepared(shop_project):
    config, _ = shop_project
    prepared = prepare(normalise(*shop()), config)
    assert set(prepared.examples.task) == {"home_feed", "more_like_this", "search"}
    assert set(prepared.examples.head) == {"like", "click"}


def test_large_catalogues_sample_negatives_and_search_by_scann(tmp_path):
    events, items, _ = shop()
    more = pd.DataFrame({"item_id": [f"x{i}" for i in range(21_000)]})
    config, directory = new_project(tmp_path, events, pd.concat([items, more], ignore_index=True))
    assert config.tasks["search"].negatives == SampledItems(type="sampled", uniform=1024)
    assert config.tasks["search"].serving.candidates == 1000
    assert "21,060 items: ScaNN" in comment_above(directory, "export/embeddings.yaml", "index")


def test_small_catalogues_learn_against_everything(shop_project):
    config, directory = shop_project
    assert config.tasks["search"].negatives == AllItems(type="all_items")
    assert config.tasks["search"].serving.candidates == ITEMS
    assert "60 items: exact" in comment_above(directory, "export/embeddings.yaml", "index")


# --- logs that lack something -----------------------------------------------------------------------------------


def test_a_log_of_bare_events(tmp_path):
    events, items, _ = shop()
    bare = events[["user_id", "item_id", "task", "event_type", "timestamp"]]
    config, directory = new_project(tmp_path, bare, items[["item_id"]])
    assert config.project.data.users is None
    assert config.towers.item.features == ()
    assert config.towers.user.profile == ()
    assert set(config.towers.item.quality) == {"popularity", "trend", "upvote_popularity"}
    assert {t.imputation.query for t in config.tasks.values()} == {"none"}
    assert "No column of items" in comment_above(directory, "towers/item.yaml", "features")


def test_anonymous_searches_are_positives(tmp_path):
    events, items, _ = shop()
    events = events[events["task"] == "search"].assign(user_id=None)
    config, _ = new_project(tmp_path, events, items)
    assert [p.event_type for p in config.tasks["search"].positives] == ["click"]


def test_a_task_of_nothing_but_signals_is_left_out_and_said_so(tmp_path):
    events, items, users = shop()
    events.loc[events["event_type"] == "upvote", "task"] = "votes"
    config, directory = new_project(tmp_path, events, items, users)
    assert set(config.tasks) == {"home_feed", "more_like_this", "search"}
    assert "`votes`" in comment_above(directory, "project.yaml", "seed")
    assert "upvote_popularity" in config.towers.item.quality


def test_a_log_of_nothing_but_signals_learns_those(tmp_path):
    events, items, _ = shop()
    events = events[events["event_type"] == "upvote"].drop(columns=["query", "source_item_id"])
    config, _ = new_project(tmp_path, events, items)
    assert [p.event_type for p in config.tasks["home_feed"].positives] == ["upvote"]


def test_a_task_of_nothing_but_impressions_learns_those(tmp_path):
    events, items, _ = shop()
    config, _ = new_project(tmp_path, events[events["event_type"] == "impression"], items)
    assert [p.event_type for p in config.tasks["home_feed"].positives] == ["impression"]


def test_a_strength_is_no_rating(tmp_path):
    events, items, _ = shop()
    events["value"] = events["value"] * 1.37
    config, directory = new_project(tmp_path, events, items)
    (positive,) = config.tasks["home_feed"].positives
    assert (positive.event_type, positive.min_value) == ("rating", None)
    assert "rating" not in config.towers.item.quality
    assert "No mean of values" in (directory / "towers/item.yaml").read_text()


def test_values_of_two_scales_have_no_mean(tmp_path):
    events, items, _ = shop()
    events.loc[events["task"] == "search", "value"] = 2.718
    config, _ = new_project(tmp_path, events, items)
    assert config.tasks["home_feed"].positives[0].min_value == 4
    assert "rating" not in config.towers.item.quality


def test_event_types_that_cannot_name_an_output_get_a_head(tmp_path):
    kinds = ["Add To Cart", "add_to_cart", "score", "購入", "2nd click"]
    events = pd.concat([rows("home_feed", kind, 20) for kind in kinds], ignore_index=True)
    config, _ = new_project(tmp_path, events, shop()[1])
    heads = {p.event_type: p.head_name for p in config.tasks["home_feed"].positives}
    assert heads == {
        "Add To Cart": "add_to_cart_2",
        "add_to_cart": "add_to_cart",
        "score": "event_score",
        "購入": "event",
        "2nd click": "event_2nd_click",
    }
    assert set(config.tasks["home_feed"].score) == set(heads.values())


def test_many_signals_share_a_feature(tmp_path):
    events, items, _ = shop()
    votes = [rows("home_feed", f"vote{i}", 5, user_id=None) for i in range(6)]
    config, _ = new_project(tmp_path, pd.concat([events, *votes], ignore_index=True), items)
    assert len(config.towers.item.quality["signals"].event_types) == 7


def test_csv_tables_do_as_well(tmp_path):
    events, items, users = shop()
    items["categories"] = items["categories"].map("|".join)
    paths = []
    for name, table in (("events", events), ("items", items), ("users", users)):
        paths.append(tmp_path / f"{name}.csv")
        pyarrow.csv.write_csv(pa.Table.from_pandas(table, preserve_index=False), paths[-1])
    init_project(tmp_path / "shop", *paths)
    config = load_config(tmp_path / "shop")
    assert CategoriesFeature(type="categories", column="categories") in config.towers.item.features
    assert config.tasks["home_feed"].positives[0].min_value == 4


# --- where it is written ----------------------------------------------------------------------------------------


def test_paths_are_relative_inside_the_project_and_absolute_outside(tmp_path, shop_project, monkeypatch):
    config, _ = shop_project
    assert config.project.data.events.is_absolute()
    monkeypatch.chdir(tmp_path)
    paths = write_tables(Path("shop/data"), *shop())
    init_project(Path("shop"), *paths)
    data = load_config(Path("shop")).project.data
    assert (str(data.events), str(data.users)) == ("data/events.parquet", "data/users.parquet")
    assert (tmp_path / "shop/data/events.parquet").exists()


def test_the_name_comes_from_the_directory(shop_project, tmp_path):
    assert shop_project[0].project.name == "my-shop"
    assert project_name(tmp_path / "Käufe 2024!") == "k-ufe-2024"
    assert project_name(tmp_path / "_x_") == "x"
    assert project_name(tmp_path / "購入") == "project"


def snapshot(directory):
    return {p.relative_to(directory): p.read_bytes() if p.is_file() else None for p in directory.rglob("*")}


@pytest.mark.parametrize("there", ["project.yaml", "tasks/other.yaml", "towers/notes.txt", "export"])
def test_what_is_there_is_never_touched(tmp_path, there):
    paths = write_tables(tmp_path / "shop" / "data", *shop())
    (tmp_path / "shop" / there).parent.mkdir(exist_ok=True)
    (tmp_path / "shop" / there).write_text("mine")
    before = snapshot(tmp_path)
    with pytest.raises(UserError, match=there.split("/")[0]):
        init_project(tmp_path / "shop", *paths)
    assert snapshot(tmp_path) == before


def test_a_file_in_place_of_the_directory_is_refused(tmp_path):
    paths = write_tables(tmp_path / "data", *shop())
    (tmp_path / "shop").write_text("mine")
    with pytest.raises(UserError, match="must be a directory"):
        init_project(tmp_path / "shop", *paths)


def test_empty_folders_are_no_obstacle(tmp_path):
    paths = write_tables(tmp_path / "data", *shop())
    (tmp_path / "shop" / "tasks").mkdir(parents=True)
    init_project(tmp_path / "shop", *paths)
    assert load_config(tmp_path / "shop").tasks


def without(table, column):
    return table.drop(columns=column)


BAD_TABLES = {
    "no events": (lambda e, i, u: (e.head(0), i, u), "events"),
    "no items": (lambda e, i, u: (e, i.head(0), u), "items"),
    "no events with a task": (lambda e, i, u: (e.assign(task=None), i, u), "events"),
    "missing column": (lambda e, i, u: (without(e, "timestamp"), i, u), "timestamp"),
    "task that cannot be a file": (lambda e, i, u: (e.assign(task="Home Feed"), i, u), "`Home Feed`"),
}


@pytest.mark.parametrize(("change", "said"), BAD_TABLES.values(), ids=BAD_TABLES)
def test_nothing_is_left_behind_by_an_error(tmp_path, change, said):
    paths = write_tables(tmp_path / "data", *change(*shop()))
    before = snapshot(tmp_path)
    with pytest.raises(UserError, match=said):
        init_project(tmp_path / "new" / "shop", *paths)
    assert snapshot(tmp_path) == before


def test_nothing_is_left_behind_by_a_failed_move(tmp_path, monkeypatch):
    paths = write_tables(tmp_path / "data", *shop())
    before = snapshot(tmp_path)
    replace = Path.replace

    def full(self, target):
        if self.name == "project.yaml":
            raise OSError(28, "No space left on device")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(UserError, match="No space left"):
        init_project(tmp_path / "new" / "shop", *paths)
    assert snapshot(tmp_path) == before


def test_init_loads_no_tensorflow():
    code = "import sys, unified_ranker.init_project; sys.exit('tensorflow' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


# --- single rules -----------------------------------------------------------------------------------------------

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


@pytest.mark.parametrize(
    ("values", "top"),
    [
        ([1, 2, 3, 4, 5], 5),
        ([0.5, 3.5, 4.5], 5),
        ([1, 4, 8, 10], 10),
        ([3, 4], 5),
        ([1] * 90 + [2] * 8 + [5] * 2, None),  # a quantity
        ([1, 2, 3], None),
        ([5, 5, 5], None),
        ([1.2, 4.4, 5.0], None),
        ([0, 4, 5], None),
        ([1, 50, 100], None),
        ([4, None, None, None], None),
        ([None, None], None),
    ],
)
def test_ratings_are_told_from_other_values(values, top):
    assert rating_top(pd.Series(values, dtype="float32")) == top


def test_lengths_scales_and_windows_follow_the_counts():
    assert [history_length(n) for n in (0, 20, 21, 60, 100, 5000)] == [20, 20, 32, 64, 100, 100]
    assert [freshness_scale(d) for d in (0, 0.4, 2, 5, 168, 9000)] == [0.25, 0.5, 2, 7, 180, 365]
    assert [trend_window(d) for d in (1, 8, 60, 214, 373, 2000)] == [None, 1, 7, 14, 30, 30]
    assert [epochs_for(n) for n in (10, 136_129, 754_211)] == [20, 7, 3]
    assert [batch_for(n) for n in (10, 3_300, 10_000, 500_000)] == [32, 64, 128, 2048]


def test_shares_say_when_they_are_not_quite_all_or_nothing():
    shares = (0.0, 0.34, 0.1, 1.0, 0.0004, 0.9998, 0.996)
    assert [percent(s) for s in shares] == ["0 %", "34 %", "10 %", "100 %", "0.04 %", "99.98 %", "99.6 %"]


@given(st.text(), st.text())
def test_names_from_the_data_cannot_break_a_file(comment, value):
    import yaml

    page = YamlPage()
    page.note(f"`{comment}` was seen.", 2)
    page.put("key", value)
    page.begin("list")
    page.item({"column": value})
    assert yaml.safe_load(page.text()) == {"key": value, "list": [{"column": value}]}
    assert "\n" not in flow(value)


# --- any log ----------------------------------------------------------------------------------------------------

SMALL = st.sampled_from
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=8).filter(str.strip)


@st.composite
def small_logs(draw):
    """Return tables of a small log: any tasks, event types, values and feature columns, with gaps everywhere."""
    count, items, users = draw(st.integers(1, 40)), draw(st.integers(1, 12)), draw(st.integers(1, 6))
    types = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))

    def column(values, size=count):
        return draw(st.lists(values, min_size=size, max_size=size))

    ids = [f"i{i}" for i in range(items)]
    events = {
        "user_id": column(SMALL([None, *[f"u{i}" for i in range(users)]])),
        "item_id": column(SMALL(ids)),
        "task": column(SMALL(["home_feed", "search", "t2"])),
        "event_type": column(SMALL(types)),
        "timestamp": [START + timedelta(hours=h) for h in column(st.integers(0, 5000))],
    }
    optional = {
        "query": SMALL([None, "red", "red shoe"]),
        "source_item_id": SMALL([None, *ids]),
        "country": SMALL([None, "GB", "US"]),
        "value": SMALL([None, 1.0, 4.0, 5.0, 8.5]),
        "derived": st.booleans(),
    }
    for name in draw(st.lists(SMALL(sorted(optional)), unique=True)):
        events[name] = column(optional[name])
    kinds = {
        "title": st.none() | st.text(max_size=12),
        "created_at": SMALL([None, START, START + timedelta(days=20)]),
        "categories": st.none() | st.lists(SMALL(["a", "b", "c"]), max_size=3),
        draw(NAMES): SMALL([None, "x", "y"]),
        "size": st.none() | st.integers(-5, 5),
        "price": st.none() | st.floats(0, 1e6, width=32),
        "brand_id": SMALL([1, 2]),
    }
    taken = {"item_id", "user_id"}
    table = {"item_id": ids}
    for name in draw(st.lists(SMALL(sorted(kinds)), unique=True)):
        if name not in taken:
            table[name] = column(kinds[name], items)
    people = None
    if draw(st.booleans()):
        people = {"user_id": [f"u{i}" for i in range(users)]}
        if draw(st.booleans()):
            people["country"] = column(SMALL([None, "GB", "DE"]), users)
        if draw(st.booleans()):
            people[draw(NAMES.filter(lambda n: n not in ("user_id", "country", "created_at")))] = column(
                SMALL([None, "cook", "smith"]), users
            )
    return pa.table(events), pa.table(table), None if people is None else pa.table(people)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(small_logs())
def test_any_small_log_gets_a_project_that_loads_and_fits_it(tables):
    with tempfile.TemporaryDirectory() as name:
        paths = []
        for number, table in enumerate(tables):
            path = Path(name) / f"{number}.parquet"
            if table is not None:
                pq.write_table(table, path)
            paths.append(None if table is None else path)
        init_project(Path(name) / "toy", *paths)
        config = load_config(Path(name) / "toy")
        log = normalise(*tables)
        assert [c.line() for c in check_declarations(config, log) if c.failed] == []
        assert set(config.tasks) <= set(log.events["task"])
        assert set(prepare(log, config).examples.task) == set(config.tasks)


@pytest.mark.parametrize("name", ["travel", "retail"])
def test_the_logs_of_the_examples(name, tmp_path):
    shared = Path(os.environ.get("UNIFIED_RANKER_SHARED", ROOT / ".." / "shared"))
    tables = [shared / "data" / name / f"{table}.parquet" for table in ("events", "items", "users")]
    if not tables[0].exists():
        pytest.skip(f"{tables[0]} is not there")
    init_project(tmp_path / name, *tables)
    ours, polished = load_config(tmp_path / name), load_config(ROOT / "examples" / name)
    assert set(ours.heads) == set(polished.heads)
    assert set(ours.tasks) == set(polished.tasks)
    # The examples are what `init` writes, gone over by hand: they agree on what the data says.
    assert ours.towers.item.features == polished.towers.item.features
    assert ours.towers.user == polished.towers.user
    for task in ours.tasks:
        for field in ("first_engagement_only", "exclude_engaged", "imputation", "negatives", "serving"):
            assert getattr(ours.tasks[task], field) == getattr(polished.tasks[task], field), (task, field)
