"""What is searched: files of spaces, the declared values in them, and what the declarations refuse."""

import pytest
from small_project import write_project

from unified_ranker.config import Config
from unified_ranker.config.loading import load_config
from unified_ranker.core.errors import UserError
from unified_ranker.evaluation.tuning.search_space import DEFAULT, Choices, Range, assignments, fit_space, read_space

NO_DECAY = "project.training.weight_decay=0"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return write_project(tmp_path_factory.mktemp("space"))


def written(directory, text):
    file = directory / "space.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_a_file_of_ranges_and_choices(tmp_path):
    text = "project.training.epochs: {low: 2, high: 9}\ntowers.item.dim: {choices: [8, 16]}\n"
    text += "x: {low: 0.1, high: 1, log: true}"
    assert read_space(written(tmp_path, text)) == {
        "project.training.epochs": Range(2, 9),
        "towers.item.dim": Choices((8, 16)),
        "x": Range(0.1, 1, log=True),
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "must hold settings"),
        ("[1]", "must hold settings"),
        ("a: [", "must be YAML"),
        ("a: 3", "`a`: needs `low` and `high`, or `choices`. Received: 3"),
        ("a: {low: 2, high: 2}", "`low` must be a number below `high`. Received: 2 and 2"),
        ("a: {low: 2}", "Received: 2 and None"),
        ("a: {low: 0, high: 1, log: true}", "`low` must be above 0 where `log` is true. Received: 0"),
        ("a: {lower: 0}", "`lower` is not known.* Did you mean `low`"),
        ("a: {choices: [1]}", "two different"),
        ("a: {choices: [[1], [2]]}", "numbers or names"),
        ("a: {choices: [1, 2], low: 0}", "stands alone"),
        ("a: {low: 1, high: 2, log: maybe}", "`log` must be `true` or `false`. Received: 'maybe'"),
        ("a: {low: 1, high: 2, log: 'false'}", "`log` must be `true` or `false`. Received: 'false'"),
    ],
)
def test_mistakes_in_a_file(tmp_path, text, words):
    with pytest.raises(UserError, match=words):
        read_space(written(tmp_path, text))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="`--space` must be a file"):
        read_space(tmp_path / "none.yaml")


def test_declared_values_are_in_what_is_searched(project):
    config = load_config(project)
    space = {
        "project.training.learning_rate": Range(0.001, 0.01, log=True),
        "project.training.epochs": Range(2, 4),
        "towers.item.dim": Choices((16, 32)),
    }
    found, declared = fit_space(space, project, [], config)
    assert declared == {
        "project.training.learning_rate": 0.02, "project.training.epochs": 1, "towers.item.dim": 8,
    }  # fmt: skip
    assert found["project.training.learning_rate"] == Range(0.001, 0.02, log=True)
    assert found["project.training.epochs"] == Range(1, 4)
    assert found["towers.item.dim"] == Choices((16, 32, 8))


@pytest.mark.parametrize(
    ("space", "words"),
    [
        ({"project.training.temperature": Range(0.05, 1.5)}, "temperature.*less than or equal to 1. Received: 1.5"),
        ({"project.training.epoch": Range(1, 3)}, "`--set project.training.epoch`.* Did you mean `epochs`"),
        ({"towers.item.dim": Choices((8, 9))}, "must divide `dim`.* Received: 2 and 9"),
        ({"towers.item.id_mask_rate": Range(0.1, 0.3)}, "a range needs a setting that is a number. Received: 'auto'"),
        ({"tasks.search.quality_weights.popularity": Range(0, 1)}, "popularity` must be declared.*--set tasks.search"),
        ({"project.evaluation.requests_per_task": Choices((7, 40))}, "`project.evaluation` decides on the requests"),
        ({"project.training.weight_decay": Range(0.1, 1, log=True)}, "`log` needs a declared setting above 0"),
    ],
)
def test_what_the_declarations_refuse_is_not_searched(project, space, words):
    with pytest.raises(UserError, match=words):
        fit_space(space, project, [NO_DECAY], load_config(project, [NO_DECAY]))


def test_whole_ends_of_a_setting_that_is_none_search_all_between(project):
    config = load_config(project, ["tasks.search.weight=1.5"])
    space = {"tasks.search.weight": Range(1, 2), "project.training.epochs": Range(2, 3)}
    found, _ = fit_space(space, project, ["tasks.search.weight=1.5"], config)
    assert [type(end) for end in found["tasks.search.weight"].ends()] == [float, float]
    assert [type(end) for end in found["project.training.epochs"].ends()] == [int, int]


def test_the_default_searches_what_is_off_without_factors(project):
    found, _ = fit_space(None, project, [NO_DECAY], load_config(project, [NO_DECAY]))
    assert found["project.training.weight_decay"] == Range(0.0, 1e-2)


def test_the_default_fits_every_project(project):
    config = load_config(project)
    found, declared = fit_space(None, project, [], config)
    assert set(found) == set(DEFAULT)
    assert found["towers.user.objective.k"] == Choices((1, 2, 4, 8))
    assert found["towers.user.history_length"] == Choices((50, 100, 200, 8))
    assert declared["project.training.ranking_balance"] == 0.5
    single = Config.model_validate({**config.to_json(), "tasks": {"search": config.to_json()["tasks"]["search"]}})
    assert "project.training.ranking_balance" not in fit_space(None, project, [], single)[0]


def test_settings_as_set_takes_them(project):
    lines = assignments({"project.training.learning_rate": 0.005, "towers.item.dim": 16, "towers.user.personal": False})
    config = load_config(project, lines)
    assert config.project.training.learning_rate == 0.005
    assert (config.towers.item.dim, config.towers.user.personal) == (16, False)


def test_a_file_of_settings(project, tmp_path):
    file = tmp_path / "tuned.set"
    file.write_text("# found\nproject.training.epochs=7\n\n  towers.item.dim=16\n", encoding="utf-8")
    config = load_config(project, [f"@{file}", "towers.item.dim=32"])
    assert (config.project.training.epochs, config.towers.item.dim) == (7, 32)
    file.write_text("project.training.epoch=7\n", encoding="utf-8")
    with pytest.raises(UserError, match="Did you mean `epochs`"):
        load_config(project, [f"@{file}"])
    with pytest.raises(UserError, match=r"`--set @.*none` must name a file"):
        load_config(project, [f"@{tmp_path / 'none'}"])
