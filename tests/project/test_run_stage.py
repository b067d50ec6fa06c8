"""A stage runs unless its output is up to date, once in a run, and leaves what was there when it fails."""

import pytest
from small_project import write_project

from unified_ranker.config.loading import load_config
from unified_ranker.core.errors import UserError
from unified_ranker.project.one_build import one_build
from unified_ranker.project.run_stage import run_stage
from unified_ranker.project.stage_cache import stamp_of
from unified_ranker.project.stage_context import StageContext
from unified_ranker.project.workspace import Workspace


@pytest.fixture
def project(tmp_path):
    return write_project(tmp_path / "project")


@pytest.fixture
def run(project):
    """Starts a run of the project: a context of its own."""

    def start(force=()):
        return StageContext(Workspace(project, load_config(project)), force=force)

    return start


class Making:
    """Fills a stage's output with how often it did."""

    times = 0

    def __call__(self, draft, notes):
        self.times += 1
        (draft / "made").write_text(str(self.times))
        notes["rows"] = {"events": self.times}
        return f"made {self.times}"


def made(project, stage="train"):
    return (project / ".unified_ranker" / stage / "made").read_text()


def test_an_output_that_is_up_to_date_is_not_made_again(project, run):
    make = Making()
    first = run_stage(run(), "train", "key", make)
    assert (first.name, first.skipped, first.summary) == ("train", False, "made 1")
    assert first.output == project / ".unified_ranker" / "train"
    again = run_stage(run(), "train", "key", make)
    assert (again.skipped, again.seconds, again.summary) == (True, 0.0, "made 1")
    assert run_stage(run(), "train", "another key", make).summary == "made 2"
    assert run_stage(run(), "train", "key", make).summary == "made 3", "a stage has one output"
    stamp = stamp_of(first.output)
    assert (stamp["key"], stamp["summary"], stamp["rows"]) == ("key", "made 3", {"events": 3})
    assert stamp["peak_memory_mib"] > 0


def test_a_stage_runs_once_in_a_run_however_often_it_is_asked_for(run):
    make, context = Making(), run(force=("train",))
    results = [run_stage(context, "train", "key", make) for _ in range(3)]
    assert make.times == 1
    assert results[0] is results[2]
    assert context.memory.results == results[:1]


def test_force_runs_what_it_names_and_nothing_else(run):
    makes = {stage: Making() for stage in ("prepare", "train", "evaluate")}
    for force in ((), ("train",), ("train", "evaluate")):
        context = run(force)
        for stage, make in makes.items():
            run_stage(context, stage, "key", make)
    assert {stage: make.times for stage, make in makes.items()} == {"prepare": 1, "train": 3, "evaluate": 2}


@pytest.mark.parametrize("fault", [KeyboardInterrupt, RuntimeError])
def test_a_stage_that_fails_leaves_what_was_there(project, run, fault):
    run_stage(run(), "train", "key", Making())

    def fail(draft, notes):
        (draft / "made").write_text("half")
        raise fault

    before = {p: p.read_bytes() for p in project.rglob("*") if p.is_file()}
    with pytest.raises(fault):
        run_stage(run(), "train", "another key", fail)
    assert {p: p.read_bytes() for p in project.rglob("*") if p.is_file()} == before
    assert run_stage(run(), "train", "key", fail).skipped


def test_one_build_at_a_time_and_within_itself_it_may_be_asked_again(project, run):
    mine, other = run(), run()
    with one_build(mine), one_build(mine):
        assert run_stage(mine, "train", "key", Making()).summary == "made 1"
        with pytest.raises(UserError, match=r"another process \(pid \d+\) is building in `.*unified_ranker`"):
            run_stage(other, "evaluate", "key", Making())
    assert run_stage(other, "evaluate", "key", Making()).summary == "made 1"
    assert sorted(p.name for p in (project / ".unified_ranker").iterdir()) == ["evaluate", "train"]


def test_a_build_clears_the_drafts_of_killed_ones_and_no_other_file(project, run):
    work = project / ".unified_ranker"
    for name in (".train-x/new", ".mine-x", "checkpoints"):
        (work / name).mkdir(parents=True)
    with one_build(run()):
        assert sorted(p.name for p in work.iterdir()) == [".lock", ".mine-x", "checkpoints"]
