"""`init`: the project that is written for a log loads, fits the log, and says why each choice was made."""

import re
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest
import yaml
from small_project import cli, write_project
from toy_shop import DAYS, ITEMS, ROOT, START, comment_above, new_project, shop, write_tables

from unified_ranker.config.loading import load_config
from unified_ranker.core.errors import UserError
from unified_ranker.log.schema import normalise
from unified_ranker.prepare.prepared import prepare
from unified_ranker.prepare.quality_types.popularity_feature import PopularityFeature
from unified_ranker.project.init import serving_text
from unified_ranker.project.init.write_project import init_project, project_name
from unified_ranker.project.project import Project
from unified_ranker.tasks.objectives.all_items import AllItems
from unified_ranker.tasks.objectives.sampled import SampledItems
from unified_ranker.towers.feature_types.categories import CategoriesFeature
from unified_ranker.towers.feature_types.category import CategoryFeature
from unified_ranker.towers.feature_types.number import NumberFeature
from unified_ranker.towers.feature_types.text import TextFeature

COUNTED = ["popular", "newest", "neighbours", "ease", "transitions"]
"""Signals that are the methods of the report's baselines, on any surface; searches have another."""
OPERATORS = ("tokens.yaml", "metrics-token")
"""Files that an operator puts beside the serving files."""


@pytest.fixture(scope="module")
def shop_project(tmp_path_factory):
    return new_project(tmp_path_factory.mktemp("shop"), *shop())


# --- what is written --------------------------------------------------------------------------------------------


def test_every_file_of_a_project_is_there(shop_project):
    _, directory = shop_project
    files = sorted(p.relative_to(directory).as_posix() for p in directory.rglob("*.yaml"))
    assert [file for file in files if not file.startswith("serving_config/")] == [
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


def test_the_serving_files_are_the_repositorys_under_the_projects_own_name(shop_project):
    _, directory = shop_project
    source = ROOT / "serving_config"
    given = {p.relative_to(directory / "serving_config"): p.read_text() for p in serving_files(directory)}
    compose = Path("docker-compose.yaml")
    assert yaml.safe_load(given[compose]) == yaml.safe_load((source / compose).read_text()) | {"name": "my-shop"}
    assert all(text == (source / name).read_text() for name, text in given.items() if name != compose)
    tracked = {p.relative_to(source) for p in source.rglob("*") if p.is_file() and p.name not in OPERATORS}
    assert given.keys() == tracked
    sizes = yaml.safe_load((directory / "export" / "serving.yaml").read_text())["warmup_batch_sizes"]
    batching = re.findall(r"allowed_batch_sizes: (\d+)", given[Path("batching.txt")])
    assert [int(size) for size in batching] == sizes, "warm-up and server agree on the sizes of batches"


def test_what_an_operator_put_beside_the_serving_files_stays_there(tmp_path):
    """Tokens, and models of gigabytes, lie in the repository's serving_config/ once somebody serves from there."""
    source = tmp_path / "serving_config"
    shutil.copytree(serving_text.SOURCE, source)
    for name in (*OPERATORS, "models/unified_ranker/1/saved_model.pb"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text("secret")
    assert "secret" not in serving_text.serving_texts("shop", source).values()


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
    assert feature == PopularityFeature(type="popularity", event_types=("upvote",))
    assert "upvote" not in str(config.tasks)
    assert "`upvote` (80 events) never has a user" in comment_above(directory, "tasks/home_feed.yaml", "positives")
    assert "80 anonymous `upvote`" in comment_above(directory, "towers/item.yaml", "upvote_popularity")


def test_impressions_are_no_engagement_and_no_history(shop_project):
    """What a request showed is logged before the click, and a history with it would tell what can be clicked."""
    config, directory = shop_project
    assert "impression" not in str(config.tasks)
    assert "`impression` (500 events)" in comment_above(directory, "tasks/home_feed.yaml", "positives")
    read = config.towers.user.history_events
    assert "impression" not in read
    assert {p.event_type for task in config.tasks.values() for p in task.positives} <= set(read)
    assert "only shown" in comment_above(directory, "towers/user.yaml", "history_events")


def test_a_feed_offers_again_where_people_come_back_for_what_they_had(shop_project, tmp_path):
    """Ratings of 30 users and 60 items in turn: of 120 from 4 up 24 are of a new pair, 12 of a new user."""
    config, directory = shop_project
    flags = {n: (t.first_engagement_only, t.exclude_engaged) for n, t in config.tasks.items()}
    assert flags == dict.fromkeys(("home_feed", "more_like_this", "search"), (False, False))
    why = comment_above(directory, "tasks/home_feed.yaml", "first_engagement_only")
    assert "89 % of the positives of returning users" in why
    events, items, users = shop()
    once = events.drop_duplicates(["task", "user_id", "item_id"])
    config, directory = new_project(tmp_path, once, items, users)
    flags = {n: (t.first_engagement_only, t.exclude_engaged) for n, t in config.tasks.items()}
    assert flags == {"home_feed": (True, True), "more_like_this": (False, False), "search": (False, False)}
    why = comment_above(directory, "tasks/home_feed.yaml", "first_engagement_only")
    assert "Below 25 % a feed should show new items" in why


def test_a_title_stands_in_for_a_query_only_where_there_is_a_source_item(shop_project):
    config, _ = shop_project
    rules = {name: task.imputation.query for name, task in config.tasks.items()}
    assert rules == {"home_feed": "none", "more_like_this": "source_item_title", "search": "none"}
    assert {task.imputation.country for task in config.tasks.values()} == {"user"}


def test_quality_counts_and_ages(shop_project):
    config, directory = shop_project
    quality = config.towers.item.quality
    of_late = ["last_hour", "last_day", "last_week"]
    ages = ["freshness", "freshness_short", "freshness_long"]
    assert list(quality) == ["popularity", *of_late, "upvote_popularity", "rating", *ages]
    # A month would be more than an eighth of the log's 200 days.
    assert [24 * quality[name].window_days for name in of_late] == pytest.approx([1, 24, 7 * 24], rel=0.01)
    # Items are created 8 to 10 days before a log of 200 days: about 109 days old at the median event.
    assert quality["freshness"].scale_days == 180
    assert "days old in the median" in comment_above(directory, "towers/item.yaml", "freshness")
    assert config.tasks["home_feed"].quality_weights == {}


def test_signals_are_those_that_requests_have(shop_project):
    config, directory = shop_project
    learnt = ["lexical", "source_pairs", "successions"]
    assert [s.type for s in config.towers.ranker.signals] == [
        *learnt,
        *COUNTED[:2],
        "query_memory",
        "like_queries",
        *COUNTED[2:],
        "repeats",
        "returns",
    ]
    assert "title: more_like_this, search" in comment_above(directory, "towers/ranker.yaml", "type: lexical")


def test_where_people_come_back_for_the_same_the_ranker_declares_it(shop_project, tmp_path):
    _, directory = shop_project
    shares = "that the user had before, on any surface: home_feed (80 %), more_like_this (50 %), search (33 %)"
    assert shares in comment_above(directory, "towers/ranker.yaml", "type: repeats")
    events, items, users = shop()
    once = events.drop_duplicates(["task", "user_id", "item_id"])
    config, _ = new_project(tmp_path, once, items, users)
    assert "repeats" not in [s.type for s in config.towers.ranker.signals]


def test_a_feed_alone_has_no_words_and_no_source(tmp_path):
    events, items, _ = shop()
    config, _ = new_project(tmp_path, events[events["task"] == "home_feed"], items)
    # People come back on this feed, so what they had is a signal, too.
    assert [s.type for s in config.towers.ranker.signals] == ["successions", *COUNTED, "repeats", "returns"]


def test_what_a_log_lacks_is_no_signal(tmp_path):
    """Nobody has neighbours where all is anonymous, and nothing is new where nothing has a date."""
    events, items, _ = shop()
    searches = events[events["task"] == "search"].assign(user_id=None)
    config, _ = new_project(tmp_path, searches, items.drop(columns="created_at"))
    assert {"popular"} == set(COUNTED) & {s.type for s in config.towers.ranker.signals}


def test_where_items_have_coordinates_their_places_are_a_signal(tmp_path):
    """Named as people name them; numbers beyond the earth's degrees are none."""
    events, items, _ = shop()
    placed = items.assign(
        store_lat=[50 + i / 10 for i in range(ITEMS)], store_lng=[-120 - i / 10 for i in range(ITEMS)]
    )
    config, directory = new_project(tmp_path / "placed", events, placed)
    (signal,) = [s for s in config.towers.ranker.signals if s.type == "nearby"]
    assert (signal.latitude, signal.longitude) == ("store_lat", "store_lng")
    assert "by `store_lat` and `store_lng`" in comment_above(directory, "towers/ranker.yaml", "type: nearby")
    config, _ = new_project(tmp_path / "metres", events, placed.assign(store_lng=placed["store_lng"] * 1000))
    assert "nearby" not in [s.type for s in config.towers.ranker.signals]


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


# --- where it is written ----------------------------------------------------------------------------------------


def test_paths_are_relative_inside_the_project_and_absolute_outside(tmp_path, shop_project, monkeypatch):
    config, _ = shop_project
    assert config.project.data.events.files.is_absolute()
    monkeypatch.chdir(tmp_path)
    paths = write_tables(Path("shop/data"), *shop())
    init_project(Path("shop"), *paths)
    data = load_config(Path("shop")).project.data
    assert (str(data.events.files), str(data.users.files)) == ("data/events.parquet", "data/users.parquet")
    assert (tmp_path / "shop/data/events.parquet").exists()


def test_the_name_comes_from_the_directory(shop_project, tmp_path):
    assert shop_project[0].project.name == "my-shop"
    assert project_name(tmp_path / "Käufe 2024!") == "k-ufe-2024"
    assert project_name(tmp_path / "_x_") == "x"
    assert project_name(tmp_path / "購入") == "project"


def snapshot(directory):
    return {p.relative_to(directory): p.read_bytes() if p.is_file() else None for p in directory.rglob("*")}


@pytest.mark.parametrize(
    "there", ["project.yaml", "tasks/other.yaml", "towers/notes.txt", "export", "serving_config/x"]
)
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


def serving_files(directory):
    return [p for p in (directory / "serving_config").rglob("*") if p.is_file()]


def without(table, column):
    return table.drop(columns=column)


def test_tables_in_memory_may_have_other_names_and_no_items(tmp_path):
    events, _, _ = shop()
    events = events[events["task"] == "home_feed"].rename(
        columns={"user_id": "visitor", "item_id": "sku", "timestamp": "ts"}
    )
    project = Project.from_tables(events.drop(columns="task"), directory=tmp_path / "shop")
    columns = project.config.project.data.columns.events
    assert (columns["user_id"].column, columns["item_id"].column, columns["task"].value) == (
        "visitor",
        "sku",
        "home_feed",
    )
    assert not any(check.failed for check in project.validate())


BAD_TABLES = {
    "no events": (lambda e, i, u: (e.head(0), i, u), "events"),
    "no items": (lambda e, i, u: (e, i.head(0), u), "items"),
    "no events with a task": (lambda e, i, u: (e.assign(task=None), i, u), "events"),
    "missing column": (lambda e, i, u: (without(e, "timestamp"), i, u), "timestamp"),
    "task that cannot be a file": (lambda e, i, u: (e.assign(task="首页"), i, u), "`首页`"),
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
    code = "import sys, unified_ranker.project.init.write_project; sys.exit('tensorflow' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_a_column_of_numbers_with_a_stray_text_is_left_out_with_a_word(tmp_path):
    write_project(tmp_path / "from")
    items = pd.read_csv(tmp_path / "from" / "data" / "items.csv", dtype=str)
    items.loc[7, "minutes"] = "long"
    items.to_csv(tmp_path / "items.csv", index=False)
    shown = cli("init", tmp_path / "to", "--events", tmp_path / "from" / "data" / "events.parquet",
                "--items", tmp_path / "items.csv")  # fmt: skip
    assert shown.exit_code == 0
    why = "left out `items.minutes`: 1 of 40 values is no number, e.g. `long`"
    assert why in shown.stderr
    assert "minutes" in (tmp_path / "to" / "towers" / "item.yaml").read_text()
