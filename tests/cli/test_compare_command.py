"""`unified-ranker compare`, from the command line, on a small project."""

import json
import re

import pytest
from small_project import cli, declarations, write_project

from unified_ranker.config.loading import load_config
from unified_ranker.core.locks import lock
from unified_ranker.evaluation.comparison.plan import PlannedRun
from unified_ranker.project.comparison_runs import BASELINE_RESULTS, run_directory
from unified_ranker.project.stage_cache import fresh

pytestmark = pytest.mark.xdist_group("comparison")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    # Two tasks: every one more is a training more. Little to trace, and few requests: every run is a process.
    files = {name: content for name, content in declarations().items() if name != "tasks/more_like_this.yaml"}
    files["towers/ranker.yaml"] |= {"type": "shared_bottom", "cross_layers": 0}
    return write_project(tmp_path_factory.mktemp("compare"), files=files)


SLOW = ("--variant", "slow:project.training.learning_rate=0.002")


@pytest.fixture(scope="module")
def first(project):
    """Two models at a time, each in a process of its own."""
    return cli("compare", "--project", project, "--seeds", 1, "--runs", "joint,alone", "--jobs", 2, *SLOW, "--json")


def test_it_compares_joint_specialists_variants_and_baselines(first, project):
    found = json.loads(first.stdout)
    for task in found["tasks"]:
        kinds = {line["name"]: line["kind"] for line in task["lines"]}
        assert kinds["joint model"] == "joint"
        assert kinds["alone"] == "alone"
        assert kinds["popularity"] == "baseline"
        worse = task["verdict"]["specialist"]["value"] < 0.99 or task["verdict"]["over_baseline"]["value"] < 1
        assert first.exit_code == 1 or not worse
    assert {t["task"] for t in found["tasks"]} == {"search", "home_feed"}
    runs = ["baselines", "joint", *(f"{task} alone" for task in load_config(project).tasks), "slow"]
    assert [cost["run"] for cost in found["costs"]] == runs
    assert all(cost["peak_memory_mib"] > 50 for cost in found["costs"])


def test_the_page_needs_nothing_else(first, project):
    page = (project / "comparison/comparison.html").read_text()
    assert first.exit_code == ("The joint model misses its promise" in page)
    assert "http" not in page.replace("http://www.w3.org", "")
    for text in ("joint ÷ alone", "popularity divergence", "Time and memory"):
        assert text in page


def test_what_is_done_is_kept(first, project):
    again = cli("compare", "--project", project, "--seeds", 1, "--runs", "joint,alone", *SLOW)
    assert again.output.count("kept from an earlier run") == 5
    assert again.exit_code == first.exit_code


def test_a_second_comparison_is_refused_and_what_a_killed_one_left_goes(first, project):
    assert first.stdout, "its joint model is kept"
    arguments = ("compare", "--project", project, "--seeds", 1, "--runs", "joint")
    left = project / ".unified_ranker/comparison/.joint-7-killed"
    left.mkdir()
    with lock(left.parent, ".lock", "comparing", "project.work_dir"):
        refused = cli(*arguments)
        assert refused.exit_code == 2
        assert re.search(
            r"another process \(pid \d+\) is comparing in `.*comparison`", " ".join(refused.output.split())
        )
        assert left.exists(), "it may be the other's"
    assert cli(*arguments).output.count("kept from an earlier run") == 2
    assert not left.exists()


def test_a_model_that_cannot_be_trained_stops_the_comparison_and_the_others_stay(first, project):
    assert first.stdout, "its joint model is kept"
    arguments = ("compare", "--project", project, "--seeds", 1, "--runs", "joint")
    broken = cli(*arguments, "--variant", "mad:project.training.learning_rate=1e30")
    assert broken.exit_code == 2
    assert "the loss is not a number" in broken.output
    assert cli(*arguments, *SLOW).output.count("kept from an earlier run") == 3


def test_what_a_run_depends_on_makes_it_anew(first, project):
    assert first.stdout, "its runs are there"
    joint, changed = PlannedRun("joint", "joint", 7), ["project.training.learning_rate=0.001"]
    assert fresh(*run_directory(project, [], joint))
    assert not fresh(*run_directory(project, changed, joint))
    assert fresh(*run_directory(project, changed, BASELINE_RESULTS)), "the baselines learn nothing from it"
    assert not fresh(*run_directory(project, ["project.split.train=0.7"], BASELINE_RESULTS))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--runs", "joint,allone"), "`--runs`: unknown kind of run `allone`.* Did you mean `alone`"),
        (("--runs", "alone"), "must have `joint`"),
        (("--variant", "hot"), "NAME:path=value"),
        (
            ("--runs", "joint", "--variant", "hot:project.training.epoch=3"),
            "the variant `hot` has a setting that is not allowed.*project.training.epoch`: .*Did you mean `epochs`",
        ),
        (
            ("--variant", "hot:project.data.events=other.parquet"),
            "`hot` has a setting.*`project.data` decides on the requests",
        ),
        (("--output", "/proc/x"), "`--output` must be a directory that can be written.*with --output PATH"),
        (("--output", __file__), "`--output` must be a directory that can be written.*File exists"),
    ],
)
def test_bad_arguments(project, arguments, words):
    failed = cli("compare", "--project", project, *arguments)
    assert failed.exit_code == 2
    assert re.search(words, failed.output)


def test_a_setting_that_the_log_has_too_little_for_is_refused_before_anything_is_trained(first, project):
    """The data are prepared: no check of the files will be made."""
    assert first.stdout, "its data are prepared"
    hard = "tasks.search.negatives={type: sampled, hard: 4}"
    for arguments in (("--set", hard), ("--runs", "joint", "--variant", f"hot:{hard}")):
        refused = cli("compare", "--project", project, "--seeds", 1, *arguments)
        assert refused.exit_code == 2
        said = " ".join(refused.output.split())
        assert "do not suit the log: FAIL `tasks/search.yaml`, `negatives.hard`: 500 positives of the task" in said
        assert " of " not in said.partition("error:")[0], "no run was announced"


def test_it_says_what_lies_behind_the_ranks(first, project):
    found = json.loads(first.stdout)
    feed = next(task for task in found["tasks"] if task["task"] == "home_feed")
    bands = [part for part in feed["slices"] if part["dimension"] == "activity"]
    assert sum(part["requests"] for part in bands) == feed["requests"]
    joint = next(line for line in feed["lines"] if line["name"] == "joint model")
    whole = sum(part["requests"] * part["values"]["joint model"] for part in bands if part["requests"])
    assert whole / feed["requests"] == pytest.approx(joint["metrics"]["ndcg@10"]["value"])
    assert set(feed["diagnoses"]) == {"joint", "home_feed alone", "slow"}
    behind = feed["diagnoses"]["joint"]
    assert {row["weights"] for row in behind["retrieval"]} == {"declared", "none"}
    assert {c["head"] for c in behind["calibration"]} == {"click", "like"}
    assert "retrieval/search" in found["curves"]
    page = (project / "comparison/comparison.html").read_text()
    for text in ("By activity of the user", "calibration error", 'id="training"', "Recall<wbr>@500"):
        assert text in page
