"""Declarations against data: what the log does not provide is one line with place, facts and remedy."""

from datetime import timedelta

import pytest
from declared_toy import NO_TITLES, ROWS, START, broken, make_config, make_log, the_broken

from unified_ranker.config import Config
from unified_ranker.core.errors import UserError
from unified_ranker.log.log_checks import require
from unified_ranker.log.schema import normalise
from unified_ranker.project.declaration_checks import check_declarations


def test_what_fits_passes_every_check():
    checks = check_declarations(make_config(), make_log())
    assert [c.line() for c in checks if not c.line().startswith("PASS ")] == []
    assert len({c.name for c in checks}) == len(checks) >= 18
    require(checks)


def feature(kind, column):
    return {"features": [{"type": kind, "column": column}]}


def profile(kind, column):
    return {"profile": [{"type": kind, "column": column}]}


# declarations, changes to the log, whether it is an error, what the line says
FAULTS = {
    "item column that is not there": (
        {"item": feature("number", "prize")},
        {},
        True,
        [
            "`towers/item.yaml`, `features[0].column`",
            "`prize`",
            "no such column",
            "`price`",
            "Did you mean `price`?",
        ],
    ),
    "user column that is not there": (
        {"user": profile("number", "aeg")},
        {},
        True,
        ["`towers/user.yaml`, `profile[0].column`", "users", "name one of `age`", "Did you mean `age`?"],
    ),
    "column of the contract that the source did not have": (
        {"item": feature("categories", "categories")},
        {},
        True,
        ["`categories` is a categories column of items", "no such column, or no value", "`colours`"],
    ),
    "country without a users table's countries": (
        {"search": {"imputation": {}}},
        {"users": {"country": None}},
        True,
        ["`profile[0].column`", "`country`"],
    ),
    "column without a value": (
        {"item": feature("number", "nothing")},
        {},
        False,
        ["`nothing`", "no row has a value"],
    ),
    "number that is text": (
        {"item": feature("number", "brand")},
        {},
        True,
        [
            "`features[0].column`: `brand` is a number column",
            "it holds text, e.g. `a`; `b`",
            "`price`, `stock`",
        ],
    ),
    "text that is a number": (
        {"item": feature("text", "price")},
        {},
        True,
        ["it holds numbers, e.g. `1.5`", "declare `type: number`", "`title`, `brand`"],
    ),
    "category that is a fraction": (
        {"item": feature("category", "price")},
        {},
        True,
        ["is a category column", "declare `type: number`"],
    ),
    "list that is text": ({"item": feature("categories", "brand")}, {}, True, ["it holds text", "`colours`"]),
    "category that is a list": (
        {"item": feature("category", "colours")},
        {},
        True,
        ["lists of text", "`brand`"],
    ),
    "number that is a time": ({"item": feature("number", "created_at")}, {}, True, ["it holds times"]),
    "profile column that is no category": (
        {"user": profile("number", "country")},
        {},
        True,
        ["it holds text", "`age`"],
    ),
    "event type of a quality feature": (
        {"item": {"quality": {"liked": {"type": "popularity", "event_types": ["click", "ratnig"]}}}},
        {},
        True,
        ["`quality.liked.event_types[1]`", "`ratnig`", "`rating` (20)", "Did you mean `rating`?"],
    ),
    "freshness without creation times": (
        {},
        {"items": {"created_at": None}},
        True,
        ["`towers/item.yaml`, `quality.freshness`", "`created_at`", "no item has one"],
    ),
    "mean of values that are not there": (
        {"home": {"positives": [{"event_type": "rating"}]}},
        {"events": {"value": None}},
        True,
        ["`quality.rating`", "no event has one"],
    ),
    "mean over two scales": (
        {},
        {"events": {"value": [float(i % 5 + 1) for i in range(ROWS)]}},
        False,
        ["`quality.rating`: values are of one kind", "`click` (20), `rating` (20)"],
    ),
    "field that is always empty": (
        {"search": {"imputation": {}}},
        {"events": {"query": None}},
        False,
        ["`towers/context.yaml`, `fields[0]`", "requests have a query"],
    ),
    "task without positives by type": (
        {"search": {"positives": [{"event_type": "clik"}]}},
        {},
        True,
        ["`tasks/search.yaml`, `positives`", "`clik` matches none of `click` (20)", "Did you mean `click`?"],
    ),
    "task without positives by value": (
        {"home": {"positives": [{"event_type": "rating", "min_value": 8}]}},
        {},
        True,
        ["`tasks/home_feed.yaml`", "`rating` and value ≥ 8", "`rating` (20, value 1 to 5)", "`min_value`"],
    ),
    "one positive of two without events": (
        {"search": {"positives": [{"event_type": "click"}, {"event_type": "klick", "head": "click"}]}},
        {},
        False,
        ["`positives[1]`", "none among `click` (20)", "adds no events to its head", "Did you mean `click`?"],
    ),
    "head that no event feeds": (
        {"search": {"positives": [{"event_type": "click"}, {"event_type": "klick", "head": "k"}]}},
        {},
        True,
        ["`tasks/search.yaml`, `positives[1]`", "the head `k` has no events", "Did you mean `click`?"],
    ),
    "one positive of two that is always taken": (
        {
            "home": {
                "positives": [
                    {"event_type": "rating", "min_value": 1},
                    {"event_type": "rating", "min_value": 4, "head": "k"},
                ]
            }
        },
        {},
        True,
        ["`positives[1]`", "value ≥ 4", "a positive of an earlier entry", "the head `k` has no events"],
    ),
    "refusals that nobody made": (
        {"search": {"refusals": ["hide"]}},
        {},
        False,
        ["`tasks/search.yaml`, `refusals`", "users have 500 events", "0 →"],
    ),
    "refusals that histories forget": (
        {"search": {"refusals": ["hide"]}, "user": {"profile": [], "history_events": ["click", "rating"]}},
        {},
        False,
        ["`tasks/search.yaml`, `refusals`", "histories hold the events", "`history_events`", "no `hide`"],
    ),
    "ratings that all count": (
        {"home": {"positives": [{"event_type": "rating"}]}},
        {},
        False,
        [
            "`positives[0]`",
            "ratings up to 5, of which 60% are below 4",
            "`tasks.home_feed.positives.0.min_value: 4`, or `tasks.home_feed.positives.0.min_value: 1`",
        ],
    ),
    "votes that all count": (
        {"home": {"positives": [{"event_type": "rating"}]}},
        {"events": {"value": [None if i % 2 == 0 else -1.0 if i % 3 else 1.0 for i in range(ROWS)]}},
        False,
        ["`positives[0]`", "13 of 20 values are 0 or below, from -1", "`tasks.home_feed.positives.0.min_value: 1`"],
    ),
    "amounts with returns that all count": (
        {"home": {"positives": [{"event_type": "rating"}]}},
        {"events": {"value": [None if i % 2 == 0 else -2.5 if i % 3 else 3.7 for i in range(ROWS)]}},
        False,
        ["`positives[0]`", "13 of 20 values are 0 or below, from -2.5", "`tasks.home_feed.positives.0.above: 0`"],
    ),
    "numbers that are no values": (
        {},
        {"events": {"value": [None if i % 2 == 0 else 99.0 if i % 3 == 0 else float(i % 5 + 1) for i in range(ROWS)]}},
        False,
        ["`positives[0]`", "7 of 20 rows", "99: far outside of", '{column: value, values: {"99": "null"}}`'],
    ),
    "engagement that histories forget": (
        {"home": {"exclude_engaged": True}, "user": {"profile": [], "history_events": ["click"]}},
        {},
        False,
        ["`tasks/home_feed.yaml`, `exclude_engaged`", "`history_events`", "no `rating`", "add them there"],
    ),
    "strength of nothing that would be engagement": (
        {"home": {"exclude_engaged": True, "positives": [{"event_type": "rating", "min_value": -1}]}},
        {"events": {"value": [None if i % 4 == 1 else 5.0 for i in range(ROWS)]}},
        False,
        ["`tasks/home_feed.yaml`, `positives[0].min_value`", "10 have none", "set `min_value` above 0"],
    ),
    "hard negatives for few events": (
        {"search": {"negatives": {"type": "sampled", "uniform": 64, "hard": 4}}},
        {},
        True,
        ["`tasks/search.yaml`, `negatives.hard`", "500 positives of the task", "18", "leave `hard` out"],
    ),
    "next items that nobody has": (
        {"user": {"profile": [], "objective": {"k": 9}}},
        {},
        False,
        ["`towers/user.yaml`, `objective.k`", "no user has more than 4 in the fit window", "set `k` to 4 or less"],
    ),
    "age gate without ages": (
        {"item": {"age_gate": True, "quality": {}}},
        {"items": {"created_at": None}},
        True,
        ["`towers/item.yaml`, `age_gate`", "no item has one", "set it to false"],
    ),
    "signal of words without titles": (
        {"ranker": {"signals": [{"type": "lexical"}]}, "item": {"features": []}, "search": {"imputation": {}}},
        {"items": NO_TITLES},
        False,
        ["`towers/ranker.yaml`, `signals[0]`", "no item has a title"],
    ),
    "signal of source items without any": (
        {"ranker": {"signals": [{"type": "source_pairs"}]}, "search": {"imputation": {}}},
        {"events": {"source_item_id": None}},
        False,
        ["`towers/ranker.yaml`, `signals[0]`", "no event has a `source_item_id`"],
    ),
    "title for a query without titles": (
        {"item": {"features": []}},
        {"items": NO_TITLES},
        True,
        ["`tasks/search.yaml`, `imputation.query`: items have titles", "no item has a title"],
    ),
    "title for a query without source items": (
        {"context": {"fields": ["query"]}},
        {"events": {"source_item_id": None}},
        False,
        ["`imputation.query`: requests of the task have a source item", "`last_history_item`"],
    ),
    "last item of a history that nobody has": (
        {
            "home": {
                "imputation": {"source_item": "last_history_item"},
                "positives": [{"event_type": "rating"}],
            }
        },
        {"events": {"user_id": [f"u{i % 4}" if i % 2 == 0 else None for i in range(ROWS)]}},
        True,
        ["`tasks/home_feed.yaml`, `imputation.source_item`", "anonymous"],
    ),
    "country of users who have none": (
        {"user": {"profile": []}},
        {"users": {"country": None}, "events": {"country": ["GB"] * ROWS}},
        False,
        ["`tasks/search.yaml`, `imputation.country`", "no user has one"],
    ),
    "surface that nobody declares": (
        {},
        {
            "events": {
                "task": ["search", "home_feed", "checkout", "search"] * 10,
                "event_type": ["click", "rating"] * 20,
            }
        },
        False,
        ["every task of the log is declared", "`checkout` (10)", "tasks/NAME.yaml"],
    ),
    "surface whose positives all come late": (
        {"split": {"train": 0.5, "validation": 0.1}},
        {"events": {"event_type": [*["view", "rating"] * 19, "click", "rating"]}},
        False,
        ["`tasks/search.yaml`: the task has positives to train on", "0 of 1 in the fit window"],
    ),
}


@pytest.mark.parametrize(("declared", "data", "error", "said"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_one_line_with_place_facts_and_remedy(declared, data, error, said):
    found = broken(make_config(**declared), make_log(**data))
    # Some data also make another check warn; the one that is meant has all of what is to be said.
    lines = [check.line() for check in found]
    fitting = [check for check in found if all(part in check.line() for part in said)]
    assert len(fitting) == 1, lines
    assert fitting[0].failed is error
    assert len([check for check in found if check.failed]) == error, lines


def test_a_task_that_the_log_does_not_have_names_those_that_it_has():
    config = make_config()
    tasks = {"serch": config.tasks["search"], "home_feed": config.tasks["home_feed"]}
    config = config.model_copy(update={"tasks": tasks})
    failed = [check for check in broken(config, make_log()) if check.failed]
    assert len(failed) == 1
    for part in ("`tasks/serch.yaml`", "`search` (20)", "Did you mean `search`?"):
        assert part in failed[0].line()
    with pytest.raises(UserError, match="serch"):
        require(check_declarations(config, make_log()))


def test_default_fields_and_rules_are_not_warned_about():
    config = make_config(
        user={"profile": []},
        context={"cross_layers": 2},
        search={"imputation": {}},
        item={"features": []},
    )
    log = make_log(events={"query": None, "source_item_id": None}, users={"country": None}, items=NO_TITLES)
    assert broken(config, log) == []


def test_truth_values_can_be_categories_and_numbers():
    log = make_log(items={"on_sale": [True, False, None, True, True]})
    for kind in ("category", "number"):
        assert broken(make_config(item=feature(kind, "on_sale")), log) == []
    assert "truth values" in the_broken(make_config(item=feature("text", "on_sale")), log).line()


def test_a_log_with_faults_of_content_is_checked_all_the_same():
    log = make_log(
        events={
            "task": [None, " ", *["search", "home_feed"] * 19],
            "event_type": [None, *["click", "rating"] * 19, "click"],
            "item_id": [None, "gone", *["i1"] * 38],
            "timestamp": [None, *[START + timedelta(hours=i) for i in range(39)]],
            "value": [float("nan"), float("inf"), *[4.0] * 38],
        },
        items={"item_id": ["i1", "i1", "i2", "i3", "i4"]},
    )
    assert check_declarations(make_config(), log)


def test_an_empty_log_fails_and_does_not_crash():
    log = normalise(make_log().events.head(0), make_log().items.head(0))
    assert [check for check in check_declarations(make_config(), log) if check.failed]


@pytest.mark.parametrize(("late", "failed"), [(5, True), (4, False)])
def test_positives_of_items_that_do_not_exist_yet_are_no_ground_to_learn_from(late, failed):
    """Four of five items created after the log leave a fifth of the clicks; all five leave none."""
    created = [START + timedelta(days=900) if i < late else START for i in range(5)]
    checks = [c for c in check_declarations(make_config(), make_log(items={"created_at": created})) if c.failed]
    found = [c.name.split(":")[0] for c in checks if "exist" in c.name]
    assert found == (["`tasks/home_feed.yaml`", "`tasks/search.yaml`"] if failed else [])
    if failed:
        assert "only 0 of 20 positives" in checks[-1].line()
        assert "correct `created_at`" in checks[-1].line()


def test_only_positives_that_can_be_learnt_are_counted_for_the_split():
    """Every item appears in the last hours: nothing is left to train on, although the log is full of clicks."""
    log = make_log(items={"created_at": [START + timedelta(hours=35)] * 5})
    config = make_config(search={"imputation": {}})
    (check,) = [c for c in check_declarations(config, log) if "search" in c.name and "train on" in c.name]
    assert not check.passed
    assert "0 of 2 in the fit window" in check.line()


def test_a_tower_without_a_file_is_reported():
    config = make_config()
    towers = config.towers.model_dump(exclude_unset=True, exclude={"item"})
    check = the_broken(Config.model_validate({**config.model_dump(exclude_unset=True), "towers": towers}), make_log())
    assert check.severity == "warning"
    assert "`towers/item.yaml`" in check.line()
    assert "defaults are in use: items have no features, so only their ids tell them apart" in check.line()


def test_a_stray_text_in_a_column_of_numbers_is_named_with_its_item():
    log = make_log(items={"price": ["1.5", "dear", None, "4", "5e1", *map(str, range(9))], **more_items(9)})
    line = the_broken(make_config(item=feature("number", "price"), search={"imputation": {}}), log).line()
    assert "1 of 13 values is not a number from -3.4e+38 to 3.4e+38, e.g. `dear (item_id i1)` → " in line
    assert "→ write a number from -3.4e+38 to 3.4e+38 there" in line
    assert "category" not in line


def more_items(count):
    """The other columns of the items table, for `count` items more."""
    return {
        "item_id": [f"i{i}" for i in range(5 + count)],
        **dict.fromkeys(("title", "brand", "stock", "colours", "nothing")),
        "created_at": [START] * (5 + count),
    }


def test_a_value_that_is_too_high_suggests_no_event_type():
    config = make_config(home={"positives": [{"event_type": "rating", "min_value": 9}]})
    line = next(c.line() for c in broken(config, make_log()) if c.failed)
    assert "rating` and value ≥ 9 matches none" in line
    assert "Did you mean" not in line
