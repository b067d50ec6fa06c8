"""`init` on logs whose events or values say no: they are never positives, and the files say on what evidence."""

import pandas as pd
import pytest
from toy_shop import comment_above, new_project, rows, shop

from unified_ranker.config.loading import load_config
from unified_ranker.core.errors import UserError
from unified_ranker.core.positives import matches_any
from unified_ranker.log.schema import normalise
from unified_ranker.project.init.project_plan import Given, plan_project
from unified_ranker.project.init.write_project import certain, write_plan
from unified_ranker.project.workspace import Workspace

VALUES = {
    "clicks as 0 and 1": ([0, 0, 1, 0], {"min_value": 1}, "25 % are 1"),
    "votes": ([-1, 1, 1, 1], {"min_value": 1}, "75 % are 1"),
    "ratings with 0 for none": (
        [0, 0, 4, 8, 10, 2],
        {"min_value": 8, "unrated": True},
        "from 8 up (33 %) one is a like; 33 % are 0",
    ),
    "ratings up to 7": ([1, 3, 6, 7], {"min_value": 6}, "ratings up to 7"),
    "ratings up to 20": ([4, 12, 16, 20], {"min_value": 16}, "ratings up to 20"),
    "percent": ([10, 40, 80, 100], {"min_value": 80}, "ratings up to 100"),
    "purchases and returns": ([3, 1, 12, -3], {"above": 0}, "25 % of the values are 0 or below (from -3)"),
    "0 throughout": ([0, 0], {}, "every value is 0"),
    "amounts": ([3, 1, 12, 150], {}, "no rating, so every event counts"),
}


@pytest.mark.parametrize(("values", "least", "why"), VALUES.values(), ids=VALUES)
def test_the_least_value_that_says_yes_is_declared_with_its_evidence(values, least, why, tmp_path):
    _, items, _ = shop()
    events = rows("home_feed", "order", 120, value=[float(v) for v in values] * (120 // len(values)))
    config, directory = new_project(tmp_path, events, items)
    (positive,) = config.tasks["home_feed"].positives
    assert positive.model_dump(exclude_defaults=True, exclude={"head", "event_type"}) == least
    assert why in comment_above(directory, "tasks/home_feed.yaml", "event_type: order")


def test_refusals_are_no_positives_and_stay_in_the_history(tmp_path):
    _, items, _ = shop()
    refusals = ("removeFromCart", "Not Interested", "CANCEL_ORDER")
    events = [rows("home_feed", "purchase", 60), *(rows("home_feed", name, 40, start=9) for name in refusals)]
    config, directory = new_project(tmp_path, pd.concat(events, ignore_index=True), items)
    assert [p.event_type for p in config.tasks["home_feed"].positives] == ["purchase"]
    assert config.towers.user.history_events is None
    for name in refusals:
        said = comment_above(directory, "tasks/home_feed.yaml", "positives")
        assert f"`{name}` (40 events) means, by its name or values, that a user refused an item" in said


@pytest.mark.parametrize(("count", "declared"), [(250, ("hide", "skip")), (249, ())])
def test_refusals_are_hard_negatives_where_there_are_enough(count, declared, tmp_path):
    _, items, _ = shop()
    events = [
        rows("home_feed", "purchase", 60),
        *(rows("home_feed", name, count, start=9) for name in ("hide", "skip")),
    ]
    config, directory = new_project(tmp_path, pd.concat(events, ignore_index=True), items)
    assert config.tasks["home_feed"].refusals == declared
    assert f"{2 * count} events say no" in (directory / "tasks" / "home_feed.yaml").read_text()


def test_a_table_of_negative_amounts_is_one_of_returns(tmp_path):
    _, items, _ = shop()
    back = rows("home_feed", "credit", 40, start=9, value=-12.5)
    config, _ = new_project(tmp_path, pd.concat([rows("home_feed", "purchase", 60), back]), items)
    assert [p.event_type for p in config.tasks["home_feed"].positives] == ["purchase"]


def test_impressions_with_clicks_as_their_values_are_positives_from_1(tmp_path):
    _, items, _ = shop()
    events = rows("home_feed", "impression", 100, value=[0.0, 0.0, 0.0, 1.0] * 25)
    config, _ = new_project(tmp_path, pd.concat([events, rows("home_feed", "purchase", 60)]), items)
    found = {p.event_type: p.min_value for p in config.tasks["home_feed"].positives}
    assert found == {"impression": 1, "purchase": None}


def test_a_task_of_refusals_is_left_out_and_a_log_of_them_refused(tmp_path):
    _, items, _ = shop()
    refusals = rows("returns", "refund", 40, start=9)
    events = pd.concat([rows("home_feed", "purchase", 60), refusals])
    config, directory = new_project(tmp_path / "both", events, items)
    assert set(config.tasks) == {"home_feed"}
    assert "`returns`" in comment_above(directory, "project.yaml", "seed")
    with pytest.raises(UserError, match=r"`events.event_type`: some events must be engagement.*`refund`"):
        new_project(tmp_path / "alone", refusals, items)


WRITTEN = {
    "0/1 clicks": ("clicked", [0, 0, 1, 0], [2], 1),
    "flags": ("is_purchase", [False, True, True, False], [1, 2], 1),
    "flags in text": ("recommended", ["True", "False", "no", "True"], [0, 3], 1),
    "labels of -1 and 1": ("label", [-1, 1, 1, -1], [1, 2], 1),
    "refusals of 0 and 1": ("skipped", [1, 0, 0, 1], [1, 2], 1),
    "votes in words": ("vote", ["up", "down", "down", "up"], [0, 3], 1),
    "percent in text": ("rating", ["85 %", "10 %", "100 %", "30 %"], [0, 2], 80),
    "decimal commas": ("rating", ["4,5", "0,5", "5", "2,0"], [0, 2], 4),
    "parts of five": ("score", ["4/5", "1/5", "5/5", "2/5"], [0, 2], 4),
    "returns": ("Quantity", [3, -1, 12, 7], [0, 2, 3], None),
    "shares": ("watch_ratio", [0.07, 0.61, 2.3, 0.2], [1, 2], 0.5),
    "percent watched": ("percentWatched", [7, 61, 100, 20], [1, 2], 50),
    "placeholders": ("rating", [40, 255, 100, 80], [2, 3], 80),
    "placeholders in text": ("score", ["4/5", "1/5", "5/5", "99"], [0, 2], 4),
    "placeholders below": ("stars", [-99, 5, 2, 4], [1, 3], 4),
    "jokes": ("rating", [-8.35, 99.0, 4.2, 9.05], [2, 3], None),
}


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize(("name", "values", "yes", "least"), WRITTEN.values(), ids=WRITTEN)
def test_a_column_that_says_no_is_the_value_however_it_is_named_and_written(name, values, yes, least, suffix, tmp_path):
    table = rows("home_feed", "x", 120)[["user_id", "item_id", "timestamp"]]
    table[name] = (values * 30) if len({type(v) for v in values}) == 1 else [str(v) for v in values * 30]
    file = tmp_path / f"events.{suffix}"
    if suffix == "csv":
        table.to_csv(file, index=False, sep=";")
    else:
        table.to_parquet(file)
    plan = certain(plan_project(tmp_path / "shop", Given({"events": file})))
    write_plan(tmp_path / "shop", plan)
    config = load_config(tmp_path / "shop")
    (positive,) = config.tasks["home_feed"].positives
    assert positive.min_value == least
    tables = Workspace(tmp_path / "shop", config).read_tables()
    events = normalise(tables.events, tables.items, tables.users).events
    counted = matches_any(events["event_type"], events["value"], [positive])
    keys = ["user_id", "item_id", "timestamp"]
    wanted = table[[number % 4 in yes for number in range(120)]].assign(
        timestamp=lambda t: pd.to_datetime(t["timestamp"], utc=True)
    )
    found = events[counted][keys].astype({"timestamp": wanted["timestamp"].dtype})
    pd.testing.assert_frame_equal(
        found.sort_values(keys, ignore_index=True).astype(str),
        wanted[keys].sort_values(keys, ignore_index=True).astype(str),
    )


def test_several_columns_that_say_no_or_words_that_are_unknown_are_for_a_person_to_decide(tmp_path):
    table = rows("home_feed", "x", 120)[["user_id", "item_id", "timestamp"]]
    two = table.assign(click=[0, 1, 1, 0] * 30, conversion=[0, 1, 0, 0] * 30)
    words = table.assign(rating=["meh", "super", "so so", "super"] * 30)
    for log, said in ((two, r"`click`, `conversion` say yes or no"), (words, r"`rating` holds words.*THEIRS: 1")):
        log.to_csv(tmp_path / "events.csv", index=False)
        with pytest.raises(UserError, match=said):
            certain(plan_project(tmp_path / "shop", Given({"events": tmp_path / "events.csv"})))


@pytest.mark.parametrize("share", [1.0, 0.8, 0.55])
def test_events_without_a_rating_do_not_make_low_ratings_positive(share, tmp_path):
    _, items, _ = shop()
    events = rows("home_feed", "rating", 120, value=[float(1 + n % 5) for n in range(120)])
    events.loc[[n for n in range(120) if (n * 7) % 20 >= 20 * share], "value"] = None
    config, _ = new_project(tmp_path, events, items)
    assert config.tasks["home_feed"].positives[0].min_value == 4
