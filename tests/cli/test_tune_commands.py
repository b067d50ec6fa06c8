"""`unified-ranker tune` on a small project: on the validation slice alone, and on again after a kill."""

import json
import os
import signal
import subprocess
import sys

import pytest
from small_project import cli, write_project

from unified_ranker.config.loading import load_config

pytestmark = pytest.mark.xdist_group("small_project")
SPACE = (
    "project.training.learning_rate: {low: 0.01, high: 0.05, log: true}\nproject.training.epochs: {low: 1, high: 2}\n"
)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    directory = write_project(tmp_path_factory.mktemp("tune"))
    (directory / "space.yaml").write_text(SPACE, encoding="utf-8")
    return directory


def arguments(project, trials):
    return ["tune", "--project", str(project), "--space", str(project / "space.yaml"), "--trials", str(trials)]


def pid_in(project):
    return int((project / ".unified_ranker/tuning/.lock").read_text())


@pytest.fixture(scope="module")
def killed(project):
    """Kill a search in its second trial; returns what it said until then."""
    command = [sys.executable, "-c", "from unified_ranker.cli import main; main()", *arguments(project, 2)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        said = []
        for line in process.stderr:
            said.append(line)
            if "trial 1:" in line:
                break
        os.kill(process.pid, signal.SIGKILL)
        process.stderr.read()  # Ends when its children have ended, too.
    assert process.returncode == -signal.SIGKILL
    return said


def test_a_killed_search_goes_on(project, killed):
    place = project / ".unified_ranker/tuning/comparison"
    # What a trial leaves that is killed while it writes.
    (place / ".trial-0123-7-draft").mkdir()
    kept = {p.parent.name: p.stat().st_mtime_ns for p in place.glob("trial-*/stamp.json")}
    done = cli(*arguments(project, 2), "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert [trial["value"] is not None for trial in found["trials"]] == [True, True]
    assert found["trials"][0]["value"] == 1.0
    assert found["trials"][0]["settings"] == {"project.training.learning_rate": 0.02, "project.training.epochs": 1}
    assert set(found["trials"][0]["ndcg"]) == {"search", "more_like_this", "home_feed"}
    again = {p.parent.name: p.stat().st_mtime_ns for p in place.glob("trial-*/stamp.json")}
    assert kept.items() <= again.items(), "what was finished is not trained again"
    assert list(place.glob(".trial-*")) == []


def test_the_best_can_be_taken_up(project, killed):
    done = cli(*arguments(project, 2))
    assert "trial" in done.stdout
    best = json.loads(cli(*arguments(project, 2), "--json").stdout)
    config = load_config(project, [f"@{best['file']}"])
    assert config.project.training.learning_rate == best["best"]["settings"]["project.training.learning_rate"]
    assert config.project.training.epochs == best["best"]["settings"]["project.training.epochs"]
    # The file says how to train, not on what.
    assert config.project.evaluation.part == "test"


@pytest.mark.parametrize(("output", "rule"), [(".", "must be a file"), ("/proc/x/tuned.set", "can be written")])
def test_where_the_best_goes_is_tried_before_anything_is_trained(project, output, rule):
    refused = cli(*arguments(project, 2), "--output", output)
    assert refused.exit_code == 2
    assert "`--output` must be" in refused.output
    assert rule in " ".join(refused.output.split())


def test_only_the_validation_slice_is_measured(project, killed):
    from unified_ranker.prepare.prepared import Prepared

    work = project / ".unified_ranker/tuning"
    prepared = Prepared.load(work / "prepare")
    examples = prepared.between(prepared.split.train_end, prepared.split.validation_end)
    import numpy as np

    for ranks in work.glob("comparison/trial-*/ranks.npz"):
        with np.load(ranks) as stored:
            for name in stored.files:
                task = name.partition("/")[0]
                measured = (examples.task == task) & examples.retrieved
                assert len(stored[name]) == min(measured.sum(), 40)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--minutes", "0"], "minutes"),
        (["--trials", "0"], "trials"),
        (["--set", "project.training.epoch=3"], "Did you mean `epochs`"),
        (["--space", "none.yaml"], "`--space` must be a file"),
    ],
)
def test_bad_arguments(project, more, words):
    failed = cli(*arguments(project, 2), *more)
    assert failed.exit_code == 2
    assert words in failed.output
