"""The programs of the recipes do what their pages say."""

import json
import subprocess
import sys
import tarfile

import pytest
from doc_pages import ROOT

GATE = ROOT / "docs" / "recipes" / "beats_baselines.py"
ARCHIVE = ROOT / "tests" / "fixtures" / "release_9015fc5.tar.xz"


@pytest.fixture(scope="module")
def report():
    with tarfile.open(ARCHIVE) as archive:
        return json.load(archive.extractfile("project/releases/1/report.json"))


def gate(report, tmp_path):
    (tmp_path / "report.json").write_text(json.dumps(report), encoding="utf-8")
    return subprocess.run([sys.executable, GATE, tmp_path], capture_output=True, text=True, check=False)


def set_difference(report, task, low, high):
    changed = json.loads(json.dumps(report))
    tasks = {found["task"]: found for found in changed["evaluation"]["tasks"]}
    for found in changed["evaluation"]["tasks"]:
        for line in found["comparisons"]:
            line["difference"] = {"value": 0.2, "low": 0.1, "high": 0.3}
    joint = [
        line for line in tasks[task]["comparisons"] if line["model"] == "joint model" and line["metric"] == "ndcg@10"
    ]
    assert len(joint) == 1
    joint[0]["difference"] = {"value": (low + high) / 2, "low": low, "high": high}
    return changed


def test_a_release_above_its_baselines_passes(report, tmp_path):
    task = report["evaluation"]["tasks"][0]["task"]
    assert gate(set_difference(report, task, 0.01, 0.02), tmp_path).returncode == 0


def test_a_difference_that_may_be_chance_passes(report, tmp_path):
    task = report["evaluation"]["tasks"][0]["task"]
    assert gate(set_difference(report, task, -0.02, 0.01), tmp_path).returncode == 0


def test_a_task_below_its_baseline_stops_the_night(report, tmp_path):
    task = report["evaluation"]["tasks"][-1]["task"]
    done = gate(set_difference(report, task, -0.04, -0.02), tmp_path)
    assert done.returncode == 1
    assert task in done.stdout
    assert "0.0300" in done.stdout
