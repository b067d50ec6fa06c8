"""A signal, a kind of head, a quality feature and a store are each one file of a project, named in project.yaml."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import httpx
import numpy as np
import own_extensions
import pytest
from service_process import PROGRAM, running
from small_project import cli, declarations, tables, write_files, write_project

import unified_ranker
from unified_ranker.config.loading import load_config
from unified_ranker.core.errors import UserError
from unified_ranker.core.request import History, Request, to_arrays
from unified_ranker.serving.backends.in_process_model import InProcessModel
from unified_ranker.store import open_store

pytestmark = pytest.mark.xdist_group("extended_project")
GENRES = 4
SECONDS = (10.0, 20.0, 40.0, 80.0)
"""Dwell time of every click by the genre of its item."""


def extended_files(directory):
    files = declarations()
    del files["tasks/more_like_this.yaml"]
    files["project.yaml"]["extensions"] = list(own_extensions.NAMES)
    files["project.yaml"]["training"]["epochs"] = 4
    files["towers/ranker.yaml"] |= {
        "signals": [{"type": "same_category", "candidates": 6}],
        "heads": {"dwell": {"type": "dwell", "of": "click", "longest": 600}},
    }
    files["towers/item.yaml"]["quality"] |= {"chosen": {"type": "positive_share", "prior": 2}}
    files["export/embeddings.yaml"] = {"store": {"place": f"sqlite://{directory / 'vectors'}"}}
    return files


def valued_tables():
    frames = tables()
    clicks = frames["events"]["event_type"] == "click"
    genre = frames["events"].loc[clicks, "item_id"].str[1:].astype(int) % GENRES
    frames["events"].loc[clicks, "value"] = np.array(SECONDS)[genre]
    return frames


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """The small project with one of each, its files beside project.yaml; built."""
    directory = tmp_path_factory.mktemp("extended") / "project"
    write_project(directory, valued_tables(), extended_files(directory))
    for name in own_extensions.NAMES:
        shutil.copy(own_extensions.FOLDER / f"{name}.py", directory)
    return directory


@pytest.fixture(scope="module")
def built(project):
    result = cli("build", "--project", project)
    assert result.exit_code == 0, result.output
    return project


def test_the_engine_knows_none_of_them():
    words = ("same_category", "dwell", "positive_share", "SqliteBackend", '"jsonl"')
    lines = {
        (word, file.name, line.strip())
        for file in Path(unified_ranker.__file__).parent.rglob("*.py")
        for line in file.read_text(encoding="utf-8").splitlines()
        for word in words
        if word in line
    }
    # No head kind: a word of names of columns, such as `dwell_ratio`, that say how much was consumed.
    assert {(word, file) for word, file, _ in lines} == {("dwell", "value_scale.py")}
    assert len(lines) == 1


def test_the_error_of_a_project_that_does_not_name_the_file_lists_the_kinds(tmp_path):
    files = extended_files(tmp_path)
    del files["project.yaml"]["extensions"]
    write_files(tmp_path, files)
    with own_extensions.forgotten_afterwards(), pytest.raises(UserError) as caught:
        load_config(tmp_path)
    said = str(caught.value)
    assert "`heads.dwell`: needs `type`, one of `event`" in said
    assert "`signals[0]`: needs `type`, one of `" in said
    assert "`lexical`" in said


def test_their_settings_are_checked_like_ours(project, tmp_path):
    files = extended_files(tmp_path)
    files["towers/ranker.yaml"]["heads"] = {"dwell": {"type": "dwell", "of": "clic"}, "click": {"type": "dwell"}}
    write_files(tmp_path, files)
    for name in own_extensions.NAMES:
        shutil.copy(own_extensions.FOLDER / f"{name}.py", tmp_path)
    with own_extensions.forgotten_afterwards(), pytest.raises(UserError) as caught:
        load_config(tmp_path)
    said = str(caught.value)
    assert "`heads.dwell`: nothing teaches the head, since no positive in tasks/ is of `clic`" in said
    assert "Did you mean `click`?" in said
    assert "`tasks/search.yaml`, `positives`: a task needs a head that ranks. Received: `click`" in said


def test_validate_says_what_they_need(project):
    said = cli("validate", "--project", project).stdout
    assert "PASS `towers/ranker.yaml`, `heads.dwell`: dwell needs that events of `click` have a `value`" in said
    assert "PASS `towers/ranker.yaml`, `signals[0]`: same_category needs that items have categories" in said
    assert "PASS `towers/item.yaml`, `quality.chosen`: the log has events" in said


def test_the_report_has_the_line_of_the_head(built):
    """Calibrated on the end of the fit window, its mean is near to what was observed later."""
    report = json.loads((built / "releases" / "1" / "report.json").read_text())
    for task in report["evaluation"]["tasks"]:
        kinds = {head["head"]: head for head in task["diagnosis"]["calibration"]}
        assert kinds["click"]["kind"] == "event"
        dwell = kinds["dwell"]
        assert dwell["kind"] == "dwell"
        assert dwell["predicted"] == pytest.approx(dwell["happened"], rel=0.5)
        assert "seconds predicted and" in dwell["line"]
    page = (built / "releases" / "1" / "report.html").read_text()
    assert page.count("<strong>dwell</strong> (dwell):") == len(report["evaluation"]["tasks"])
    assert "dwell: calibration: mean outcome by mean prediction" in page


def test_an_answer_has_seconds_and_its_score_does_not_mix_them_in(built):
    asked = ("--user", "u1", "--task", "search", "--query", "blue drama", "--json")
    shown = cli("recommend", built / "releases" / "1", *asked)
    assert shown.exit_code == 0, shown.output
    items = json.loads(shown.stdout)["items"]
    assert len(items) == 5
    for item in items:
        assert 1 < item["heads"]["dwell"] < 600
        assert 0 < item["heads"]["click"] < 1
        assert list(item["quality"]) == ["popularity", "rating", "chosen"]
        assert 0 < item["quality"]["chosen"] < 1
        # One head that ranks: the score is its logit, whatever the other says.
    by_score = [item["heads"]["click"] for item in items]
    assert by_score == sorted(by_score, reverse=True)


def test_the_served_model_has_the_head_and_what_the_signal_proposes(built):
    predict = InProcessModel.of_release(built / "releases" / "1").predict
    click = {"item_id": "i6", "event_type": "click", "task": "search", "timestamp": 1_719_990_000}
    request = Request(user_id="nobody", task="home_feed", timestamp=1_720_000_000, history=History.of([click]))
    encoded = predict("encode", to_arrays([request], 8))
    proposed = [name.decode() for name in encoded["proposed_ids"][0]]
    of_genre = [name for name in proposed if name and int(name[1:]) % GENRES == 6 % GENRES]
    assert len(set(of_genre)) >= 6, "those of the last event's genre, beside what is popular"
    ids = np.array([[f"i{n}" for n in range(40)]], object)
    ranked = predict("rank", {**to_arrays([request], 8), "candidate_ids": ids})
    assert ranked["dwell"].shape == (1, 40)
    mean = [ranked["dwell"][0, genre::GENRES].mean() for genre in range(GENRES)]
    assert mean[0] < mean[3], "clicks on the last genre are the longest"


def test_vectors_go_into_the_store_and_come_back(built):
    exported = cli("export-embeddings", built / "releases" / "1")
    assert exported.exit_code == 0, exported.output
    place = f"sqlite://{built / 'vectors'}"
    assert cli("store", "verify", place).exit_code == 0
    with open_store(place) as store:
        assert store.get_many("item", [f"i{n}" for n in range(40)]).found.all()
        nearest = store.neighbours("item", "i5", k=3)
    shown = cli("store", "neighbours", place, "item", "i5", "-k", "3")
    assert shown.exit_code == 0, shown.output
    assert all(one.id in shown.stdout for one in nearest)


def test_the_release_opens_elsewhere_with_the_files_that_it_carries(built, tmp_path):
    """In processes that know nothing of the project, and in whose directory nothing is."""
    release = Path(shutil.copytree(built / "releases" / "1", tmp_path / "machine" / "1"))
    (tmp_path / "empty").mkdir()
    environment = {"PYTHONPATH": str(Path(unified_ranker.__file__).parents[1])}
    verified = subprocess.run(
        [*PROGRAM, "verify", str(release)],
        cwd=tmp_path / "empty", env={**os.environ, **environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert f"PASS extensions: {', '.join(own_extensions.NAMES)}: their files are carried" in verified.stdout
    assert verified.returncode == 0, verified.stderr
    with running(release, env=environment, cwd=tmp_path / "empty") as (_, url):
        asked = {"user_id": "u1", "task": "search", "query": "blue drama"}
        answer = httpx.post(f"{url}/v1/recommend", json=asked, timeout=60, trust_env=False).json()
    assert answer["degraded"] is None
    assert all(1 < item["heads"]["dwell"] < 600 for item in answer["items"])
