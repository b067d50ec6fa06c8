"""`--set path.in.config=value`: what it changes, and what is said about one that leads nowhere."""

import functools

import pytest
from toy_project import FILES, line_of, lines_of, write_project

from unified_ranker.config.loading import load_config
from unified_ranker.core.errors import UserError


@pytest.fixture
def project(tmp_path):
    """Return a function that writes the toy project."""
    return functools.partial(write_project, tmp_path)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("project.training.epochs=3", lambda c: c.project.training.epochs == 3),
        ("project.seed = 11", lambda c: c.project.seed == 11),
        ("project.data.events=/data/a=b.parquet", lambda c: c.project.data.events.files.name == "a=b.parquet"),
        ("tasks.search.weight=0.5", lambda c: c.tasks["search"].weight == 0.5),
        (
            "tasks.search.negatives={type: all_items}",
            lambda c: c.tasks["search"].negatives.type == "all_items",
        ),
        ("tasks.home_feed.positives.1.event_type=open", lambda c: c.heads == ("like", "open", "click")),
        ("towers.item.features[0].column=name", lambda c: c.towers.item.features[0].column == "name"),
        ("tasks.home_feed.positives[1].event_type=open", lambda c: c.heads == ("like", "open", "click")),
        ("towers.item.features.0.column=name", lambda c: c.towers.item.features[0].column == "name"),
        (
            "towers.item.features.1={type: text, column: b}",
            lambda c: c.towers.item.features[1].type == "text",
        ),
        (
            "towers.item.quality.fresh={type: freshness}",
            lambda c: c.towers.item.quality["fresh"].scale_days == 30,
        ),
        # No such file: its values are defaults, which can be set like any other.
        ("towers.ranker.hidden=32", lambda c: c.towers.ranker.hidden == 32),
        ("export.embeddings.index={type: exact}", lambda c: c.export.embeddings.index.type == "exact"),
        ("project.description=", lambda c: False),
    ],
)
def test_set_changes_a_value(project, text, read):
    if text.endswith("="):
        assert "must be a valid string" in line_of(project(), text)
    else:
        assert read(load_config(project(), [text]))


def test_set_reaches_below_a_key_with_nothing_behind_it(project):
    directory = project(**{"project.yaml": FILES["project.yaml"] + "training:\n"})
    assert load_config(directory, ["project.training.epochs=2"]).project.training.epochs == 2


@pytest.mark.parametrize("place", ["[11]", ".11"])
def test_set_reaches_an_index_of_two_digits(project, place):
    numbers = ", ".join(f"{{type: number, column: n{n}}}" for n in range(12))
    directory = project(**{"towers/item.yaml": f"features: [{numbers}]\n"})
    features = load_config(directory, [f"towers.item.features{place}.column=last"]).towers.item.features
    assert [feature.column for feature in features] == [*(f"n{n}" for n in range(11)), "last"]


def test_the_last_of_two_values_counts(project):
    assert load_config(project(), ["project.seed=1", "project.seed=2"]).project.seed == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("project.training.epochs", ["takes path.in.config=value", "`project.training.epochs`"]),
        ("project..seed=1", ["takes path.in.config=value"]),
        ("=1", ["takes path.in.config=value"]),
        ("project.seed=[", ["must be YAML"]),
        ("projct.seed=1", ["`projct` is not known", "Did you mean `project`?"]),
        ("towers.itme.dim=8", ["`towers.itme` is not known", "`towers.ranker`", "Did you mean `item`?"]),
        (
            "tasks.serch.weight=2",
            ["`tasks.serch` is not known", "Did you mean `search`?", "new file in tasks/"],
        ),
        ("tasks={}", ["only keys of a file can be set"]),
        ("towers=5", ["only keys of a file can be set", "`towers.user`"]),
        ("project=5", ["only keys of a file can be set"]),
        ("towers.item.dmi=8", ["`--set towers.item.dmi`", "not known", "Did you mean `dim`?"]),
        ("towers.item.dim=wide", ["`--set towers.item.dim`", "valid integer", "'wide'"]),
        (
            "tasks.search.first_engagement_only=maybe",
            ["`--set tasks.search.first_engagement_only`", "must be `true` or `false`", "Received: 'maybe'"],
        ),
        ("towers.item.features.2.column=a", ["`towers.item.features` is a list of 2", "Received: `2`"]),
        ("towers.item.features.9.0=a", ["`towers.item.features` is a list of 2", "Received: `9`"]),
        ("towers.item.features[2].column=a", ["`towers.item.features` is a list of 2", "Received: `2`"]),
        ("towers.item.features.first.column=a", ["is a list of 2", "`first`"]),
        (
            "towers.item.features.0.colum=a",
            ["`--set towers.item.features.0.colum`", "Did you mean `column`?"],
        ),
        ("project.name.first=a", ["`project.name` is 'toy'", "holds no `first`"]),
        ("project.data.pth=x", ["`--set project.data.pth`", "Allowed: `type`, `events`, `items`, `users`"]),
        ("project.data.type=movielens", ["`project.yaml`, `data.events`: this key is not known"]),
        ("tasks.search.weight=.nan", ["`--set tasks.search.weight`", "finite"]),
        ("towers.item.quality.trend.window_days=3", ["`quality.trend`", "needs `type`", "`freshness`"]),
    ],
)
def test_a_bad_set_is_blamed_and_changes_nothing_else(project, text, said):
    first = lines_of(project(), text)[0]
    for part in said:
        assert part in first


def test_of_several_the_one_that_set_the_place_is_blamed(project):
    with pytest.raises(UserError, match=r"`--set project\.training`: must hold keys and values"):
        load_config(project(), ["project.training.epochs=3", "project.training=1"])
    with pytest.raises(UserError, match=r"^`project\.yaml`: `evaluation.part: validation` needs"):
        load_config(project(), ["project.training.epochs=3", "project.evaluation.part=validation"])
