"""Keys of the stages: what changes them, and that nothing else would change what a stage makes."""

import pytest
from small_project import (
    FOURTH_FILE,
    TASKS,
    declarations,
    events_table,
    items_table,
    tables,
    write_files,
    write_project,
    write_tables,
)

from unified_ranker.config import Task
from unified_ranker.config.loading import load_config
from unified_ranker.core.errors import UserError
from unified_ranker.log.schema import normalise
from unified_ranker.prepare.prepared import SPLIT_FILE, prepare
from unified_ranker.prepare.prepared_by import PREPARED_BY_TASK
from unified_ranker.project.stage_context import STAGES, StageContext, choose_tasks
from unified_ranker.project.stage_keys import NOT_TRAINED_BY_TASK
from unified_ranker.project.workspace import Workspace

ALL = list(STAGES)
CHANGES = {
    "project.description=other": ["export"],
    "export.serving.warmup_requests=1": ["export"],
    "export.embeddings.index.type=exact": ["export"],
    "tasks.search.description=other": ["export"],
    "project.evaluation.requests_per_task=3": ALL[2:],
    "tasks.search.serving.candidates=9": ALL[2:],
    "tasks.search.derived=true": ALL[2:],
    "tasks.home_feed.exclude_engaged=false": ALL[2:],
    "tasks.home_feed.score={like: 2.0}": ALL[2:],
    "tasks.home_feed.quality_weights={popularity: 0.3}": ALL[1:],
    "tasks.search.weight=0.5": ALL[1:],
    "tasks.search.refusals=[hide]": ALL[1:],
    "tasks.search.imputation.source_item=last_history_item": ALL[1:],
    "tasks.search.negatives={type: sampled}": ALL[1:],
    "project.seed=8": ALL[1:],
    "project.training.epochs=2": ALL[1:],
    "project.split.fit_on=train": ALL[1:],
    "towers.item.dim=16": ALL[1:],
    "towers.item.quality.popularity.window_days=3": ALL[1:],
    "towers.user.history_length=9": ALL[1:],
    "towers.ranker.experts=3": ALL[1:],
    "project.split.train=0.7": ALL,
    "tasks.home_feed.positives.1.min_value=5": ALL,
    "tasks.home_feed.first_engagement_only=false": ALL,
}
"""Settings, and the stages that each reaches."""


@pytest.fixture
def project(tmp_path):
    return write_project(tmp_path / "project")


def context(project, *overrides, tasks=()):
    config = load_config(project, overrides)
    return StageContext(Workspace(project, config), choose_tasks(config, tasks))


def keys(project, *overrides, tasks=()):
    """The key of each stage."""
    found = context(project, *overrides, tasks=tasks).keys
    return {stage: getattr(found, stage) for stage in STAGES}


def differing(one, other):
    return [stage for stage in STAGES if one[stage] != other[stage]]


def test_a_changed_setting_changes_the_keys_of_exactly_what_it_reaches(project):
    before = keys(project)
    assert keys(project) == before
    for change, reached in CHANGES.items():
        assert differing(before, keys(project, change)) == reached, change


def test_every_field_of_a_task_has_its_stage():
    """A new field is taken to reach the training, until someone says that it does not."""
    fields = set(Task.model_fields)
    assert fields >= PREPARED_BY_TASK | NOT_TRAINED_BY_TASK
    assert not PREPARED_BY_TASK & NOT_TRAINED_BY_TASK
    covered = {change.split("=")[0].split(".")[2] for change in CHANGES if change.startswith("tasks.")}
    assert fields - covered == {"ranking_weight", "ranking_strength", "ranking_crosses"}


def test_what_does_not_make_the_data_again_would_not_change_them(project, tmp_path):
    log = normalise(**tables())

    def prepared(*overrides):
        """The bytes of every prepared table."""
        folder = tmp_path / f"prepared by {' '.join(overrides)}"
        folder.mkdir()
        prepare(log, load_config(project, overrides)).save(folder)
        files = [*folder.rglob("*.arrow"), folder / SPLIT_FILE]
        return {str(p.relative_to(folder)): p.read_bytes() for p in files}

    kept = prepared()
    assert len(kept) == 6
    for change, reached in CHANGES.items():
        assert (prepared(change) == kept) == ("prepare" not in reached), change


def test_changed_data_change_every_key_and_a_file_that_was_only_touched_none(project):
    before = keys(project)
    write_tables(project, tables())
    assert keys(project) == before
    write_tables(project, {"items": items_table().assign(minutes=90)})
    other_items = keys(project)
    assert differing(before, other_items) == ALL
    write_tables(project, {"events": events_table(seed=6)})
    assert differing(other_items, keys(project)) == ALL


def test_changed_code_of_an_extension_changes_every_key(project):
    declared = declarations()["project.yaml"]
    write_files(project, {"project.yaml": {**declared, "extensions": ["my_kinds"]}})
    (project / "my_kinds.py").write_text("import my_helper\n")
    (project / "my_helper.py").write_text("")
    before = keys(project)
    assert keys(project) == before
    (project / "my_helper.py").write_text("# changed\n")
    assert differing(before, keys(project)) == ALL


def test_a_new_task_changes_every_key(project):
    before = keys(project)
    write_files(project, {"tasks/pre_query.yaml": FOURTH_FILE})
    assert differing(before, keys(project)) == ALL


def test_single_tasks_are_another_model_over_the_same_data(project):
    whole, search = keys(project), keys(project, tasks=("search",))
    assert differing(whole, search) == ALL[1:]
    two = keys(project, tasks=("search", "home_feed"))
    assert differing(search, two) == ALL[1:]
    assert keys(project, tasks=("home_feed", "search", "home_feed")) == two
    assert keys(project, tasks=TASKS) == whole, "all of them are the same choice as none"


def test_a_task_that_is_none_is_named(project):
    with pytest.raises(UserError, match=r"`--tasks`: unknown task `serach`\. Known: .*Did you mean `search`"):
        context(project, tasks=("serach",))
