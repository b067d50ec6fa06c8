"""Reading declarations: a mistake is one line: file, path, what was found, what is allowed, nearest name."""

import functools
import json
import subprocess
import sys

import pytest
import yaml
from pydantic import ValidationError
from toy_project import FILES, ROOT, changed, line_of, lines_of, write_files, write_project

from unified_ranker.config import Config
from unified_ranker.config.loading import load_config
from unified_ranker.core.errors import UserError
from unified_ranker.prepare.quality_types.freshness_feature import FreshnessFeature
from unified_ranker.prepare.quality_types.mean_value_feature import MeanValueFeature
from unified_ranker.tasks.objectives.all_items import AllItems
from unified_ranker.tasks.objectives.sampled import SampledItems
from unified_ranker.towers.feature_types.number import NumberFeature
from unified_ranker.towers.feature_types.text import TextFeature


@pytest.fixture
def project(tmp_path):
    """Return a function that writes the toy project."""
    return functools.partial(write_project, tmp_path)


def test_files_become_one_frozen_configuration(project):
    config = load_config(project())
    assert config.project.name == "toy"
    assert config.towers.item.features == (
        TextFeature(type="text", column="title"),
        NumberFeature(type="number", column="price", log=True),
    )
    assert config.towers.item.quality["rating"] == MeanValueFeature(type="mean_value", prior=3)
    assert list(config.tasks) == ["home_feed", "search"]
    assert config.tasks["search"].negatives == SampledItems(type="sampled", uniform=16)
    assert config.tasks["home_feed"].negatives == AllItems(type="all_items")
    assert config.heads == ("like", "view", "click")
    assert config.query_dim == 64 + 2
    with pytest.raises(ValidationError, match="frozen"):
        config.project.seed = 1
    with pytest.raises(ValidationError, match="frozen"):
        config.towers.item.features[0].column = "other"


def test_absent_files_are_defaults_and_empty_ones_too(project):
    config = load_config(project(towers__user="", **{"towers/ranker.yaml": "# nothing but a comment\n"}))
    assert config.towers.user.history_length == 100
    assert config.towers.ranker.experts == 4
    assert config.export.embeddings.index.type == "auto"


def test_the_repository_itself_is_a_project():
    config = load_config(ROOT)
    assert config.project.data.type == "movielens"
    assert config.heads == ("like",)
    assert config.tasks["home_feed"].positives[0].min_value == 4


# file, its text, what the one line must say
MISTAKES = {
    "unknown key": (
        "tasks/search.yaml",
        "positives: [{event_type: click}]\nwieght: 2\n",
        ["`tasks/search.yaml`, `wieght`", "not known", "`serving`", "Did you mean `weight`?"],
    ),
    "unknown key deep down": (
        "towers/item.yaml",
        "features: [{type: number, column: price, logg: true}]",
        ["`towers/item.yaml`, `features[0].logg`", "`column`", "Did you mean `log`?"],
    ),
    "unknown key below a name that is also a kind": (
        "towers/item.yaml",
        "quality: {popularity: {type: mean_value, priors: 3}}",
        ["`quality.popularity.priors`", "Allowed: `type`, `prior`.", "Did you mean `prior`?"],
    ),
    "key that is no text": (
        "towers/item.yaml",
        "quality: {1: {type: popularity}}",
        ["`towers/item.yaml`, `quality[1]`: must be a valid string", "Received: 1"],
    ),
    "wrong type": (
        "project.yaml",
        "name: toy\ndata: {type: tables, events: e, items: i}\ntraining: {epochs: many}\n",
        ["`project.yaml`, `training.epochs`", "must be a valid integer", "Received: 'many'"],
    ),
    "out of range": (
        "towers/user.yaml",
        "history_length: 0",
        ["`towers/user.yaml`, `history_length`", "must be greater than or equal to 2", "Received: 0"],
    ),
    "kind not known": (
        "tasks/search.yaml",
        "positives: [{event_type: click}]\nnegatives: {type: sampeld}\n",
        [
            "`tasks/search.yaml`, `negatives`",
            "`all_items`, `sampled`",
            "'sampeld'",
            "Did you mean `sampled`?",
        ],
    ),
    "kind not given": (
        "tasks/search.yaml",
        "positives: [{event_type: click}]\nnegatives: {uniform: 3}\n",
        ["needs `type`, one of `all_items`, `sampled`", "Received: {'uniform': 3}"],
    ),
    "kind without braces": (
        "tasks/search.yaml",
        "positives: [{event_type: click}]\nnegatives: sampled\n",
        ["needs `type`", "Write `{type: sampled}`."],
    ),
    "kind without braces, in a list": (
        "towers/item.yaml",
        "features: [title]",
        ["`towers/item.yaml`, `features[0]`", "`categories`, `category`, `number`, `text`", "'title'"],
    ),
    "kind of a head not known": (
        "towers/ranker.yaml",
        "heads: {like: {type: evnt}}",
        ["`towers/ranker.yaml`, `heads.like`", "one of `event`", "'evnt'", "Did you mean `event`?"],
    ),
    "head that nothing teaches": (
        "towers/ranker.yaml",
        "heads: {clik: {weight: 2}}",
        ["`towers/ranker.yaml`, `heads.clik`", "no positive in tasks/ is of `clik`", "Did you mean `click`?"],
    ),
    "head of the name of another output": (
        "towers/ranker.yaml",
        "heads: {score: {weight: 2}}",
        ["`towers/ranker.yaml`, `heads.score`", "none of `retrieval_score`, `score`", "Rename it."],
    ),
    "value of a choice": (
        "towers/context.yaml",
        "fields: [query, contry]",
        ["`towers/context.yaml`, `fields[1]`", "'previous_task'", "'contry'", "Did you mean `country`?"],
    ),
    "value of a mixed union": (
        "towers/item.yaml",
        "id_mask_rate: lots",
        ["`id_mask_rate`", "valid number", "or must be 'auto'", "Received: 'lots'"],
    ),
    "required key": ("tasks/search.yaml", "weight: 2", ["`positives`", "required and absent"]),
    "nothing in a list that needs one": ("tasks/search.yaml", "positives: []", ["`positives`", "at least 1"]),
    "mapping for a list": (
        "tasks/search.yaml",
        "positives: {event_type: click}",
        ["`positives`: must be a list"],
    ),
    "value for a mapping": (
        "towers/user.yaml",
        "objective: big",
        ["`objective`: must hold keys and values", "'big'"],
    ),
    "list for a file": ("towers/user.yaml", "- history_length", ["`towers/user.yaml` must hold", "list"]),
    "rule of a model": (
        "project.yaml",
        "name: toy\ndata: {type: tables, events: e, items: i}\nsplit: {train: 0.9, validation: 0.2}\n",
        ["`split`", "must be below 1", "0.9 + 0.2"],
    ),
    "name": (
        "project.yaml",
        "name: My Project\ndata: {type: movielens}\n",
        ["`project.yaml`, `name`", "must match pattern", "'My Project'"],
    ),
    "not YAML": ("towers/item.yaml", "features: [", ["`towers/item.yaml` is not valid YAML", "line 1"]),
    "a key twice": (
        "tasks/search.yaml",
        "positives: [{event_type: click}]\nweight: 1\nweight: 2\n",
        ["`tasks/search.yaml` is not valid YAML", "the key `weight` is written twice", "line 3"],
    ),
    "no such tower": (
        "towers/itme.yaml",
        "dim: 3",
        ["`towers/itme.yaml` is not a file that a project has", "`towers/ranker.yaml`", "Did you mean `item`?"],
    ),
    "task file name": (
        "tasks/Home Feed.yaml",
        FILES["tasks/search.yaml"],
        ["Received: `Home Feed`", "Rename"],
    ),
    "one name, two files": ("towers/item.yml", "dim: 32", ["`towers/item.yaml` and `towers/item.yml`"]),
    "column declared twice": (
        "towers/item.yaml",
        "features: [{type: text, column: title}, {type: category, column: title}]\n",
        ["`towers/item.yaml`, `features[1].column`", "declared once", "`title`", "features[0]"],
    ),
    "column that the served model cannot take": (
        "towers/item.yaml",
        "features: [{type: number, column: price (GBP)}]\n",
        ["`features[0].column`", "input of the served model", "`price (GBP)`"],
    ),
    "head that the served model cannot have": (
        "tasks/search.yaml",
        "positives: [{event_type: Add To Cart}]\n",
        ["`tasks/search.yaml`, `positives[0]`", "output of the served model", "`Add To Cart`", "Set `head`"],
    ),
    "head of that name already is an output": (
        "tasks/search.yaml",
        "positives: [{event_type: score}]\n",
        ["`positives[0]`", "Received: `score`"],
    ),
    "quality weight without a feature": (
        "tasks/search.yaml",
        "positives: [{event_type: click}]\nquality_weights: {populrity: 1}\n",
        ["`quality_weights.populrity`", "`popularity`, `rating`", "Did you mean `popularity`?"],
    ),
    "score of a head of another task": (
        "tasks/search.yaml",
        "positives: [{event_type: click}]\nscore: {like: 1}\n",
        ["`tasks/search.yaml`, `score.like`", "Allowed: `click`."],
    ),
    "attention heads": ("towers/user.yaml", "encoder: {heads: 3}", ["`encoder.heads`", "divide", "3 and 64"]),
    "targets beyond the history": (
        "towers/user.yaml",
        "history_length: 4\nobjective: {k: 5}",
        ["`objective.k`", "5 and 4"],
    ),
}


@pytest.mark.parametrize(("name", "text", "said"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_line_that_says_where_what_and_what_instead(tmp_path, name, text, said):
    line = line_of(changed(tmp_path, name, text))
    for part in said:
        assert part in line


def test_several_mistakes_are_reported_at_once(project):
    lines = lines_of(
        project(
            **{
                "project.yaml": "name: toy\ndata: {type: tables, evnts: e, itmes: i}\nseed: -1\n",
                "towers/item.yaml": "dim: [",
                "tasks/search.yaml": "positives: [{event_typ: click}]\n",
                "tasks/Bad.yaml": "",
            }
        ),
        "towers.user.history_length=1",
        "no equals sign",
    )
    text = "\n".join(lines)
    assert len(lines) == 10
    for part in (
        "`data.events`: this key is required",
        "`data.itmes`",
        "`data.evnts`",
        "`seed`",
        "`towers/item.yaml` is not valid YAML",
        "`positives[0].event_type`: this key is required",
        "`positives[0].event_typ`: this key is not known",
        "`tasks/Bad.yaml`",
        "`--set towers.user.history_length`",
        "Received: `no equals sign`",
    ):
        assert part in text


def test_a_missing_project_is_named(tmp_path):
    line = line_of(tmp_path / "nowhere")
    assert "nowhere/project.yaml` does not exist" in line
    assert "unified-ranker init" in line


def test_a_project_without_tasks_is_refused(tmp_path):
    files = {name: text for name, text in FILES.items() if not name.startswith("tasks")}
    assert "declares no task" in line_of(write_files(tmp_path, files))


def test_a_file_that_is_no_text_is_named(project):
    directory = project()
    (directory / "towers" / "user.yaml").write_bytes(b"history_length: \xff")
    assert "`towers/user.yaml` must be UTF-8 text" in line_of(directory)


def test_numbers_may_be_written_with_an_exponent(project):
    directory = project(
        **{"project.yaml": FILES["project.yaml"] + "training: {learning_rate: 3e-3, weight_decay: 1E-5}\n"}
    )
    training = load_config(directory).project.training
    assert (training.learning_rate, training.weight_decay) == (0.003, 0.00001)


# --- the hash --------------------------------------------------------------------------------------------


def test_a_configuration_survives_json(project):
    for directory in (project(), ROOT, ROOT / "examples" / "travel", ROOT / "examples" / "retail"):
        config = load_config(directory)
        assert Config.model_validate(json.loads(json.dumps(config.to_json()))) == config


def test_the_digest_changes_with_a_value_and_not_with_the_order_of_keys(project, tmp_path_factory):
    directory = project()
    digest = load_config(directory).digest()
    assert digest == load_config(directory).digest()
    assert digest != load_config(directory, ["project.seed=8"]).digest()
    assert digest != load_config(directory, ["towers.ranker.dropout=0.2"]).digest()

    reordered = tmp_path_factory.mktemp("reordered")
    for name in FILES:
        tree = yaml.safe_load((directory / name).read_text())
        (reordered / name).parent.mkdir(exist_ok=True)
        (reordered / name).write_text(yaml.safe_dump(dict(reversed(tree.items())), sort_keys=False))
    assert load_config(reordered).digest() == digest


def test_the_digest_of_parts_changes_with_those_parts_only(project):
    directory = project()
    before = load_config(directory)
    after = load_config(directory, ["tasks.search.weight=2"])
    assert before.digest("tasks") != after.digest("tasks")
    assert before.digest("tasks.search") != after.digest("tasks.search")
    assert before.digest("tasks.home_feed", "towers") == after.digest("tasks.home_feed", "towers")


def test_defaults_written_out_do_not_change_the_digest(project):
    plain = load_config(project()).digest()
    written = load_config(project(**{"towers/ranker.yaml": "hidden: 64\nexperts: 4\n"})).digest()
    assert plain == written


def test_a_project_hashes_alike_wherever_it_lies(tmp_path_factory):
    here, there = (write_files(tmp_path_factory.mktemp(name), FILES) for name in ("here", "there"))
    assert load_config(here).digest() == load_config(there).digest()


def test_reading_declarations_loads_no_tensorflow():
    code = (
        "import sys; from pathlib import Path; from unified_ranker.config.loading import load_config; "
        "load_config(Path('.')); sys.exit('tensorflow' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_freshness_is_a_quality_feature(project):
    directory = project(**{"towers/item.yaml": "quality: {new: {type: freshness, scale_days: 2}}"})
    assert load_config(directory).towers.item.quality == {"new": FreshnessFeature(type="freshness", scale_days=2)}


@pytest.mark.parametrize("value", ["yes", '"3"', "3.5"])
def test_a_number_is_a_number(tmp_path, value):
    text = FILES["project.yaml"] + f"training: {{epochs: {value}}}\n"
    line = line_of(changed(tmp_path, "project.yaml", text))
    assert line.startswith("`project.yaml`, `training.epochs`: must be a valid integer")


def test_an_answer_is_no_longer_than_its_candidates(tmp_path):
    text = FILES["tasks/search.yaml"] + "serving: {candidates: 5, limit: 6}\n"
    line = line_of(changed(tmp_path, "tasks/search.yaml", text))
    assert "`tasks/search.yaml`, `serving`: `limit` must not exceed `candidates`" in line
    assert "Received: 6 and 5" in line


UNFIT = {
    "a ramp without hard negatives": (
        "tasks/search.yaml",
        "positives: [{event_type: click}]\nnegatives: {type: sampled, hard_after: 0.2}\n",
        ["`tasks/search.yaml`, `negatives`", "say when `hard` begins", "0.2 and 0 without `hard`", "Set `hard`"],
    ),
    "a ramp that ends after the training": (
        "tasks/search.yaml",
        "positives: [{event_type: click}]\nnegatives: {type: sampled, hard: 8, hard_after: 0.6, hard_ramp: 0.5}\n",
        ["must not exceed 1", "0.6 + 0.5", "Lower one"],
    ),
    "an encoder that is none": (
        "towers/user.yaml",
        "encoder: {type: hstuu}\n",
        ["`towers/user.yaml`, `encoder`", "one of `transformer`, `hstu`", "Did you mean `hstu`?"],
    ),
    "heads that do not divide": (
        "towers/user.yaml",
        "encoder: {type: hstu, heads: 7}\n",
        ["`encoder.heads`: must divide `dim`", "7 and 64"],
    ),
    "next items beyond the history": (
        "towers/user.yaml",
        "history_length: 4\nobjective: {k: 5}\n",
        ["`objective.k`: must not exceed `history_length`", "5 and 4"],
    ),
    "a head that is none": (
        "towers/ranker.yaml",
        "type: plee\n",
        ["`towers/ranker.yaml`, `type`", "'mmoe', 'ple' or 'shared_bottom'", "Did you mean `ple`?"],
    ),
    "a source that is no signal": (
        "tasks/search.yaml",
        "positives: [{event_type: click}]\nserving: {sources: [lexicall]}\n",
        ["`serving.sources`", "`lexicall` is no signal"],
    ),
    "weights that are none": (
        "tasks/search.yaml",
        "positives: [{event_type: click}]\nquality_weights: learned\n",
        ["`tasks/search.yaml`, `quality_weights`: must hold keys and values", "Received: 'learned'"],
    ),
    "weights of an earlier version, which trained them": (
        "tasks/search.yaml",
        "positives: [{event_type: click}]\nquality_weights: learnt\n",
        ["`tasks/search.yaml`, `quality_weights`", "`learnt` is gone", "`tune-quality` fits weights", "'learnt'"],
    ),
    "older windows that are no share": (
        "project.yaml",
        "name: toy\ndata: {type: tables, events: e, items: i}\ntraining: {older_windows: 1.5}\n",
        ["`project.yaml`, `training.older_windows`", "less than or equal to 1", "Received: 1.5"],
    ),
}


@pytest.mark.parametrize("name", UNFIT)
def test_settings_that_do_not_fit(project, name):
    file, text, words = UNFIT[name]
    directory = project()
    (directory / file).write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as failed:
        load_config(directory)
    for word in words:
        assert word in str(failed.value), str(failed.value)


def test_experts_of_ones_own_need_a_second_task(project):
    directory = project()
    (directory / "tasks/search.yaml").unlink()
    with pytest.raises(UserError, match="`ple` gives each task experts of its own, which needs two tasks"):
        load_config(directory, ["towers.ranker.type=ple"])
