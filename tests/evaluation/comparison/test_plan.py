"""Which models a comparison trains."""

import pytest
import tiny_world
import yaml

from unified_ranker.config import Config
from unified_ranker.core.errors import UserError
from unified_ranker.evaluation.comparison.plan import ABLATIONS, ablation, plan, require_same_requests

CONFIG = tiny_world.config()


def changed_by(overrides):
    tree = CONFIG.to_json()
    for setting in overrides:
        path, _, value = setting.partition("=")
        *keys, last = path.split(".")
        node = tree
        for key in keys:
            node = node[key]
        node[last] = yaml.safe_load(value)
    return Config.model_validate(tree)


def test_joint_and_each_task_for_every_seed_ablations_for_the_first():
    runs = plan(CONFIG, 2)
    assert [(r.name, r.seed) for r in runs if r.kind == "joint"] == [("joint", 11), ("joint", 12)]
    alone = {(r.tasks, r.seed) for r in runs if r.kind == "alone"}
    assert alone == {((task,), seed) for task in CONFIG.tasks for seed in (11, 12)}
    assert [r.name for r in runs if r.kind == "ablation"] == list(ABLATIONS)
    assert {r.seed for r in runs if r.kind == "ablation"} == {11}
    assert len({r.directory for r in runs}) == len(runs)


def test_one_task_has_no_specialist():
    single = Config.model_validate({**CONFIG.to_json(), "tasks": {"search": CONFIG.to_json()["tasks"]["search"]}})
    assert [r.kind for r in plan(single, 1, kinds=("joint", "alone"))] == ["joint"]


@pytest.mark.parametrize("name", ABLATIONS)
def test_an_ablation_changes_what_it_names(name):
    changed = changed_by(ablation(name, CONFIG))
    towers = changed.towers
    found = {
        "no task id": "task" not in towers.context.fields and "query" in towers.context.fields,
        "no imputation": all(t.imputation.query == t.imputation.source_item == "none" for t in changed.tasks.values()),
        "no crosses": towers.context.cross_layers == towers.ranker.cross_layers == 0,
        "no personalisation": not towers.user.personal,
        "no signals": towers.ranker.signals == (),
    }
    before = {
        "no task id": False, "no imputation": False, "no crosses": False,
        "no personalisation": False, "no signals": False,
    }  # fmt: skip
    assert found == {**before, name: True}


def test_what_is_not_there_cannot_be_taken_away():
    bare = tiny_world.config(ranker={"signals": []}, more_like_this={"imputation": {}})
    assert ablation("no signals", bare) == ()
    assert ablation("no imputation", bare) == ()


def test_a_variant_is_a_name_and_settings():
    run = plan(CONFIG, 1, ["hot: project.training.temperature=0.1 ; towers.item.dim=8"], ())[0]
    assert (run.name, run.kind, run.seed) == ("hot", "variant", 11)
    assert run.settings == ["project.training.temperature=0.1", "towers.item.dim=8", "project.training.seed=11"]


@pytest.mark.parametrize("text", ["hot", "hot:", ":a=1", "hot:a"])
def test_other_texts_are_no_variants(text):
    with pytest.raises(UserError, match=r"NAME:path=value.* Received: `"):
        plan(CONFIG, 1, [text])


@pytest.mark.parametrize("name", ["alone", "baselines", "joint", "joint model", "two towers", ".07", "a/b", "a, b"])
def test_names_that_the_report_uses_or_no_directory_has(name):
    with pytest.raises(UserError, match=rf"must have a name of letters.* Received: `{name}`"):
        plan(CONFIG, 1, [f"{name}:project.training.temperature=0.1"], ())


def test_a_variant_has_the_seed_of_the_others():
    with pytest.raises(UserError, match=r"must leave `project.training.seed` to `--seeds`"):
        plan(CONFIG, 1, ["hot:project.training.seed=3"], ())


@pytest.mark.parametrize(
    "setting",
    [
        "project.split.train=0.5",
        "project.seed=5",
        "project.evaluation.requests_per_task=7",
        "project.work_dir=elsewhere",
        "tasks.search.exclude_engaged=true",
        "tasks.search.first_engagement_only=true",
    ],
)
def test_models_that_are_measured_on_other_requests_are_not_compared(setting):
    part = setting.partition("=")[0]
    with pytest.raises(UserError, match="decides on the requests") as refused:
        require_same_requests(CONFIG, changed_by([setting]))
    assert part.startswith(str(refused.value).split("`")[1])


def test_models_may_differ_in_everything_else():
    settings = ["project.split.fit_on=train", "tasks.search.serving.candidates=7", "towers.item.dim=16"]
    require_same_requests(CONFIG, changed_by(settings))


def test_two_runs_of_one_name():
    with pytest.raises(UserError, match="Received: `hot`, the name of two"):
        plan(CONFIG, 1, ["hot:a=1", "hot:b=2"])
