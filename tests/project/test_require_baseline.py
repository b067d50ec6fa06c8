"""A build that loses to a baseline: released with a warning, and refused where the baseline is required."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from small_project import built_project, cli, declarations, write_project

from unified_ranker.core.errors import UserError
from unified_ranker.evaluation.baselines.base import BASELINES, Baseline
from unified_ranker.project.project import Project

pytestmark = pytest.mark.xdist_group("small_project")

ONLY_SEER = "project.evaluation.baselines=[seer]"


class Seer(Baseline):
    """Knows what is taken next: no model is as good."""

    name = "seer"

    def _fit(self, prepared, past, fit_end):
        self._items = len(prepared.items)

    def _score(self, requests):
        scores = np.zeros((len(requests), self._items))
        scores[np.arange(len(requests)), requests.item] = 1
        return scores


@pytest.fixture
def project(tmp_path) -> Iterator[Path]:
    """The built project; from here on the seer is a baseline."""
    directory = built_project().copy(tmp_path)
    BASELINES.declare(Seer)
    yield directory
    BASELINES.remove(Seer.name)


def tree(directory):
    """Every file below a directory, and where links point."""
    return {
        str(path.relative_to(directory)): path.readlink() if path.is_symlink() else path.stat().st_mtime_ns
        for path in directory.rglob("*")
    }


def test_a_loss_is_refused_before_anything_is_released_and_without_the_demand_a_warning(project):
    before = tree(project / "releases")
    shown = cli("build", "--project", project, "--set", ONLY_SEER, "--require-baseline")

    assert shown.exit_code == 2
    assert shown.stderr.startswith("error: `--require-baseline`: 4 tasks are below the best simple method")
    assert "search: " in shown.stderr
    assert "below the best simple method (seer), NDCG@10" in shown.stderr
    with pytest.raises(UserError, match="require-baseline"):
        Project(project, [ONLY_SEER]).build(require_baseline=True)
    assert tree(project / "releases") == before
    assert (project / "releases" / "latest").readlink() == Path("1")

    shown = cli("build", "--project", project, "--set", ONLY_SEER)

    assert shown.exit_code == 0
    assert shown.stderr.count("note: below the best simple method: ") == 1
    evaluated = next(line for line in shown.stdout.splitlines() if line.startswith("evaluate"))
    assert "up to date" in evaluated, "what was measured before the refusal is kept"
    assert (project / "releases" / "latest").readlink() == Path("2")


def test_a_win_passes_the_demand(tmp_path):
    """Nobody who wins is asked to; the release of before is up to date."""
    project = built_project().copy(tmp_path)
    evaluation = json.loads((project / ".unified_ranker" / "evaluate" / "evaluation.json").read_text())
    below = [
        task["task"]
        for task in evaluation["tasks"]
        for found in task["comparisons"]
        if (found["model"], found["metric"]) == ("joint model", "ndcg@10") and found["difference"]["value"] < 0
    ]
    shown = cli("build", "--project", project, "--require-baseline")
    assert shown.exit_code == (2 if below else 0)
    assert sorted(line.split(":")[0] for line in shown.stderr.splitlines()[1:-1]) == sorted(below)


def test_report_and_manifest_say_what_decides(tmp_path):
    files = declarations()
    del files["tasks/more_like_this.yaml"]
    files["project.yaml"]["training"]["blend"] = True
    project = write_project(tmp_path, files=files)
    built = cli("build", "--project", project)
    assert built.exit_code == 0, built.output
    release = project / "releases" / "1"
    manifest = json.loads((release / "manifest.json").read_text())
    report = json.loads((release / "report.json").read_text())
    assert manifest["blends"] == report["blends"]
    tasks = [blend["task"] for blend in manifest["blends"]]
    assert tasks, "a task has a blend"
    assert set(tasks) <= set(manifest["tasks_trained"])
    for blend in manifest["blends"]:
        assert blend["requests"] > 0
        weights = [one["weight"] for one in blend["channels"]]
        assert weights == sorted(weights, reverse=True)
        assert {"score", "retrieval", "popularity", "rating"} <= {one["channel"] for one in blend["channels"]}
        assert blend["ndcg"] >= max(one["ndcg"] for one in blend["channels"]), "at least as good as the best alone"
    page = (release / "report.html").read_text()
    assert page.count("What decides") == len(tasks)
    assert page.count("Real requests") == page.count("Coverage and concentration") == len(report["evaluation"]["tasks"])
