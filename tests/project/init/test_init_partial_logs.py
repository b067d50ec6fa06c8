"""`init` on logs that lack something: what is not there is not declared, and what is odd is worked around."""

import pandas as pd
import pyarrow as pa
import pyarrow.csv
from toy_shop import comment_above, new_project, rows, shop

from unified_ranker.config.loading import load_config
from unified_ranker.project.init.write_project import init_project
from unified_ranker.towers.feature_types.categories import CategoriesFeature


def test_a_log_of_bare_events(tmp_path):
    events, items, _ = shop()
    bare = events[["user_id", "item_id", "task", "event_type", "timestamp"]]
    config, directory = new_project(tmp_path, bare, items[["item_id"]])
    assert config.project.data.users is None
    assert config.towers.item.features == ()
    assert config.towers.user.profile == ()
    assert set(config.towers.item.quality) == {
        "popularity", "last_hour", "last_day", "last_week", "upvote_popularity"
    }  # fmt: skip
    assert {t.imputation.query for t in config.tasks.values()} == {"none"}
    assert "The items table has no column" in comment_above(directory, "towers/item.yaml", "features")


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
    assert "No mean rating" in (directory / "towers/item.yaml").read_text()


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
