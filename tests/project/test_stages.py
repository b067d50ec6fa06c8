"""The stages of a project: what a build makes, what it skips, what makes it again, and what an interrupt leaves."""

import hashlib
import json
import logging
import shutil
import signal
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from release_toy import edit_manifest, make_release
from small_project import (
    EVENTS,
    ITEMS,
    TASKS,
    USERS,
    built_project,
    cli,
    declarations,
    events_table,
    items_table,
    tables,
    write_project,
)

from unified_ranker.config import Config
from unified_ranker.config.loading import load_config
from unified_ranker.project.export_stage import export_stage, newest_of
from unified_ranker.project.stage_context import STAGES, StageContext
from unified_ranker.project.workspace import Workspace

pytestmark = pytest.mark.xdist_group("small_project")


def manifest_of(release):
    return json.loads((release / "manifest.json").read_text())


def stage_lines(output):
    """The lines that a build prints for its stages: name to the words behind it."""
    known = {*STAGES, "verify"}
    lines = [line.split(maxsplit=1) for line in output.splitlines() if line.strip()]
    return {words[0]: words[1] for words in lines if words[0] in known}


def hidden(directory):
    return [p.name for p in directory.iterdir() if p.name.startswith(".")]


# --- a first build


def test_a_build_runs_every_stage_and_ends_with_a_verified_release():
    built = built_project()
    said = stage_lines(built.output)
    assert list(said) == [*STAGES, "verify"]
    assert not any("up to date" in words for words in said.values())
    assert "1,500 events, 40 items, 60 users" in said["prepare"]
    assert "1 epochs, loss" in said["train"]
    assert "release 1" in said["export"]
    assert "links hold" in said["verify"]
    assert f"report:  {built.release / 'report.html'}" in built.output
    assert built.output.count("joint model") == built.output.count("popularity") == 4
    for task in (*TASKS, "pre_query"):
        assert f"{task} (" in built.output


def test_the_release_is_whole_and_the_latest():
    built = built_project()
    releases = built.directory / "releases"
    assert {p.name for p in built.release.iterdir()} >= {
        "model", "items", "index", "report.json", "report.html", "manifest.json"
    }  # fmt: skip
    assert (releases / "latest").readlink() == Path("1")
    assert sorted(p.name for p in releases.iterdir()) == ["1", "latest"]
    assert hidden(built.directory / ".unified_ranker") == []
    assert not (built.directory / ".unified_ranker" / "checkpoints" / "left").exists()
    verified = cli("verify", releases / "latest", "--json")
    assert verified.exit_code == 0
    assert len(json.loads(verified.stdout)["links"]) == 9


def test_verify_names_the_broken_link(tmp_path):
    release = built_project().copy(tmp_path) / "releases" / "1"
    page = release / "report.html"
    page.write_text(page.read_text().replace("joint model", "best model", 1))
    shown = cli("verify", release)
    assert shown.exit_code == 2
    assert "broken link `files`" in shown.stderr
    assert "`report.html` has changed" in shown.stderr


def test_the_manifest_tells_how_the_release_was_made():
    built = built_project()
    manifest, config = manifest_of(built.release), load_config(built.directory)
    assert Config.model_validate(manifest["config"]) == config
    assert manifest["config_hash"] == config.digest()
    assert manifest["vector_width"] == 8 + 2
    assert manifest["version"] == 1
    assert manifest["versions"] == {"model": 1, "vectors": 1, "index": 1}
    assert manifest["parent"] is None
    assert manifest["project_path"] == "../.."
    assert manifest["tasks_trained"] == sorted([*TASKS, "pre_query"])
    for name in ("tensorflow", "scann", "pandas", "numpy"):
        assert manifest["libraries"][name] == metadata.version(name)
    git = shutil.which("git")
    root = Path(__file__).parents[2]
    if git is not None and (root / ".git").exists():
        head = subprocess.run([git, "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=True)
        known = subprocess.run(
            [git, "cat-file", "-t", manifest["git_commit"].removesuffix("-dirty")], cwd=root, capture_output=True
        )
        assert head.returncode == known.returncode == 0


def test_the_manifest_tells_the_data_by_count_and_time():
    built = built_project()
    manifest, events = manifest_of(built.release), events_table()
    engaged = (events["event_type"] == "click") | (events["value"] >= 4)
    home = events["task"] == "home_feed"
    again = home & engaged & events["user_id"].notna()
    again &= events[again].duplicated(["user_id", "item_id", "event_type"]).reindex(events.index, fill_value=False)
    labelled = events[engaged & ~again]
    assert manifest["rows"] == {"events": EVENTS, "items": ITEMS, "users": USERS, "examples": len(labelled)}
    times = events["timestamp"].astype("datetime64[s, UTC]").astype("int64")
    window = manifest["data"]["window"]
    assert (window["start"], window["end"]) == (times.min(), times.max())
    assert window["fit_end"] == np.ceil(np.quantile(times[labelled.index], 0.9))


def test_the_manifest_has_the_sha_256_of_every_other_file():
    release = built_project().release
    there = {
        str(p.relative_to(release)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in release.rglob("*")
        if p.is_file() and p.name != "manifest.json"
    }
    assert manifest_of(release)["files"] == there
    assert any(name.endswith("tf_serving_warmup_requests") for name in there)


def test_the_vectors_are_as_wide_as_the_manifest_says():
    release = built_project().release
    table = pd.read_parquet(next((release / "items").glob("*.parquet")))
    assert sorted(table["item_id"]) == sorted(items_table()["item_id"])
    vectors = np.stack(table["vector"])
    assert vectors.shape == (ITEMS, manifest_of(release)["vector_width"])
    np.testing.assert_allclose(np.linalg.norm(vectors[:, :8], axis=1), 1, rtol=1e-5)


def test_manifest_and_report_have_the_same_metrics():
    release = built_project().release
    report = json.loads((release / "report.json").read_text())
    metrics = manifest_of(release)["metrics"]
    assert set(metrics) == {*TASKS, "pre_query"}
    for task in report["evaluation"]["tasks"]:
        rows = task["slices"][0]["rows"]
        assert (
            set(metrics[task["task"]]) == {row["scorer"] for row in rows} >= {"joint model", "two towers", "popularity"}
        )
        for row in rows:
            for name, interval in row["metrics"].items():
                assert metrics[task["task"]][row["scorer"]][name] == pytest.approx(interval["value"], abs=1e-5)
    assert [stage["name"] for stage in report["stages"]] == ["prepare", "train", "evaluate"]
    assert "joint model" in (release / "report.html").read_text()


def test_the_model_has_learnt_something():
    """Titles answer queries: far above chance, which is 0.25 at 10 of 40."""
    metrics = manifest_of(built_project().release)["metrics"]
    assert metrics["search"]["joint model"]["recall@10"] > 0.5


# --- what is up to date


def test_a_second_build_skips_everything(tmp_path):
    project = built_project().copy(tmp_path)
    before = {p: p.stat().st_mtime_ns for p in project.rglob("*") if p.is_file()}
    shown = cli("build", "--project", project)
    assert shown.exit_code == 0
    said = stage_lines(shown.stdout)
    assert [name for name, words in said.items() if "up to date" in words] == list(STAGES)
    assert "release 1 is up to date" in said["export"]
    assert "joint model" in shown.stdout
    assert {p: p.stat().st_mtime_ns for p in project.rglob("*") if p.is_file()} == before
    assert sorted(p.name for p in (project / "releases").iterdir()) == ["1", "latest"]
    results = json.loads(cli("build", "--project", project, "--json").stdout)
    assert [(r["name"], r["skipped"]) for r in results] == [*((name, True) for name in STAGES), ("verify", False)]


def test_a_second_release_names_the_first_as_its_parent(tmp_path):
    project = built_project().copy(tmp_path)
    shown = cli("build", "--project", project, "--set", "export.serving.warmup_requests=0")
    assert shown.exit_code == 0, shown.output
    said = stage_lines(shown.stdout)
    assert [name for name, words in said.items() if "up to date" in words] == ["prepare", "train", "evaluate"]
    releases = project / "releases"
    manifest = manifest_of(releases / "2")
    parent = hashlib.sha256((releases / "1" / "manifest.json").read_bytes()).hexdigest()
    assert manifest["parent"] == {"version": 1, "manifest_sha256": parent}
    assert manifest["versions"] == {"model": 2, "vectors": 2, "index": 2}
    assert manifest["config_hash"] != manifest_of(releases / "1")["config_hash"]
    assert (releases / "latest").readlink() == Path("2")
    links = json.loads(cli("verify", releases / "latest", "--json").stdout)["links"]
    assert "parent: release 1, unchanged" in links
    # The same weights give the same vectors: nothing was trained again.
    first, second = (pd.read_parquet(next((releases / n / "items").glob("*.parquet"))) for n in ("1", "2"))
    np.testing.assert_allclose(np.stack(first["vector"]), np.stack(second["vector"]), atol=1e-5)


# --- what is done again


def poor_project(directory):
    """Ids, tasks and times: no titles, no users table, no queries, countries that nobody has heard of."""
    events = events_table(("home_feed", "more_like_this")).drop(columns=["query"])
    events["country"] = [("XX", "??", None)[n % 3] for n in range(len(events))]
    files = declarations()
    del files["project.yaml"]["data"]["users"], files["tasks/search.yaml"]
    files["towers/item.yaml"] = {"dim": 8, "features": [{"type": "number", "column": "minutes"}]}
    files["towers/user.yaml"].pop("profile")
    files["tasks/more_like_this.yaml"].pop("imputation")
    files["tasks/home_feed.yaml"].pop("quality_weights")
    frames = {"events": events, "items": items_table()[["item_id", "minutes"]]}
    return write_project(directory, frames, files)


@pytest.fixture(scope="module")
def poor(tmp_path_factory):
    """The poor project, exported and nothing else asked, and the results of the stages; nobody may change it."""
    project = poor_project(tmp_path_factory.mktemp("poor") / "project")
    context = StageContext(Workspace(project, load_config(project)))
    assert not export_stage(context).skipped
    return project, context.memory.results


@pytest.mark.parametrize("command", ["prepare", "evaluate", "export", "build"])
def test_force_does_again_what_the_command_does_and_nothing_else(poor, tmp_path, command):
    project = Path(shutil.copytree(poor[0], tmp_path / "project", symlinks=True))

    def written():
        return {stage: (project / ".unified_ranker" / stage / "stamp.json").stat().st_mtime_ns for stage in STAGES[:3]}

    before = written()
    assert cli(command, "--project", project).exit_code == 0
    assert written() == before
    assert not (project / "releases" / "2").exists()
    assert cli(command, "--project", project, "--force").exit_code == 0
    again = {stage for stage, time in written().items() if time != before[stage]}
    again |= {"export"} if (project / "releases" / "2").exists() else set()
    assert again == (set(STAGES) if command == "build" else {command})


def test_a_stage_by_itself_makes_what_it_needs(poor):
    project, made = poor
    assert [(result.name, result.skipped) for result in made] == [(s, False) for s in STAGES]
    again = StageContext(Workspace(project, load_config(project)))
    assert export_stage(again).skipped
    assert [result.name for result in again.memory.results] == ["export"], "nothing else is asked"


def test_a_build_that_was_stopped_before_it_pointed_at_its_release_is_put_right(tmp_path):
    project = built_project().copy(tmp_path)
    link = project / "releases" / "latest"
    link.unlink()
    assert cli("export", "--project", project).exit_code == 0
    assert link.readlink() == Path("1")


@pytest.fixture
def releases(tmp_path, toy_prepared, toy_config):
    """Releases of the keys a, b and a, of which the newest counts, and eight more of the key c."""
    for key in ("a", "b", "a", *"cccccccc"):
        release = make_release(tmp_path, toy_prepared, toy_config)
        edit_manifest(release, "build_key", value=key)
    return tmp_path


def test_the_newest_release_alone_can_be_up_to_date(releases):
    """Going back to earlier declarations is a new release, so that `latest` is what was built last."""
    assert newest_of(releases, "c") == releases / "11"
    assert newest_of(releases, "a") is None
    for number in range(4, 12):
        shutil.rmtree(releases / str(number))
    assert newest_of(releases, "a") == releases / "3"
    assert newest_of(releases, "b") is None
    assert newest_of(releases / "none", "a") is None


# --- one task alone, interrupted and taken up again


EPOCHS = 12


def wait_for(path, process):
    """Return once a file matches below `path`, by watching; the process must live until then."""
    while not (found := sorted(path.glob("*/checkpoint"))):
        try:
            process.wait(timeout=0.02)
        except subprocess.TimeoutExpired:
            continue
        raise AssertionError(f"the training ended too early: {process.communicate()}")
    return found[0].parent


@pytest.fixture
def default_interrupt():
    """Let processes that are started here end by Ctrl-C, also where a shell started these tests behind itself (`&`).

    There SIGINT is ignored, and a process inherits that; what has a handler here is back at its default there.
    """
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, previous)


@pytest.mark.usefixtures("default_interrupt")
def test_an_interrupted_training_leaves_releases_and_goes_on(poor, tmp_path, caplog):
    """A real SIGINT to the real command, after the first epoch of a training of one task alone."""
    project = Path(shutil.copytree(poor[0], tmp_path / "project", symlinks=True))
    before = {p: p.stat().st_mtime_ns for p in project.rglob("*") if p.is_file()}
    options = ["train", "--project", str(project), "--tasks", "home_feed", "--set", f"project.training.epochs={EPOCHS}"]
    script = Path(sys.executable).with_name("unified-ranker")
    process = subprocess.Popen([str(script), *options], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    checkpoints = wait_for(project / ".unified_ranker" / "checkpoints", process)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "interrupted; finished stages and releases are intact" in error
    assert "Traceback" not in error
    now = {p: p.stat().st_mtime_ns for p in project.rglob("*") if p.is_file() and checkpoints not in p.parents}
    assert now == before
    assert hidden(project / ".unified_ranker") == []
    assert cli("verify", project / "releases" / "1").exit_code == 0

    done = max(int(p.stem.rsplit("-", 1)[1]) for p in checkpoints.glob("*.index"))
    assert 1 <= done <= EPOCHS
    with caplog.at_level(logging.INFO, "unified_ranker"):
        shown = cli("-v", *options)
    assert shown.exit_code == 0, shown.output
    assert f"{done} of {EPOCHS} epochs done" in caplog.text
    assert f"{EPOCHS} epochs, loss" in shown.stdout
    trained = json.loads((project / ".unified_ranker" / "train" / "training.json").read_text())
    curves = trained["curves"]
    assert {len(values) for values in curves.values()} == {EPOCHS}
    assert np.mean(curves["retrieval/home_feed"][-3:]) < curves["retrieval/home_feed"][0]
    # The other task took no part.
    assert not np.any(curves["retrieval/more_like_this"])
    assert not checkpoints.exists()
    assert "up to date" in cli(*options).stdout


# --- logs with less in them


def test_a_log_without_titles_users_searches_and_known_countries_builds_and_answers(poor):
    project, _ = poor
    shown = cli("validate", "--project", project)
    assert shown.exit_code == 0, shown.output
    assert "WARN events.country is an alpha-2 code" in shown.stdout
    manifest = manifest_of(project / "releases" / "1")
    assert manifest["vector_width"] == 8
    # Users come from the events where there is no table of them.
    assert manifest["rows"]["users"] == events_table(("home_feed", "more_like_this"))["user_id"].nunique()
    options = ["--user", "u1", "--task", "more_like_this", "--source-item", "i3", "--country", "XX", "--json"]
    answer = cli("recommend", project / "releases" / "1", *options)
    items = json.loads(answer.stdout)["items"]
    assert len(items) == 5
    assert {item["title"] for item in items} == {""}


@pytest.mark.parametrize("lack", ["titles", "users", "countries", "created_at", "categories"])
def test_a_log_may_lack_any_optional_part(tmp_path, lack):
    """What is absent is no fault of the data; declarations that name it are."""
    frames, files = tables(), declarations()
    if lack == "titles":
        frames["items"] = frames["items"].drop(columns="title")
        files["towers/item.yaml"]["features"].pop(0)
        files["tasks/more_like_this.yaml"].pop("imputation")
    elif lack == "users":
        del frames["users"], files["project.yaml"]["data"]["users"]
        files["towers/user.yaml"].pop("profile")
    elif lack == "countries":
        frames["users"] = frames["users"].drop(columns="country")
        frames["events"] = frames["events"].drop(columns="country")
        files["towers/user.yaml"]["profile"].pop(1)
    elif lack == "categories":
        frames["items"] = frames["items"].drop(columns="categories")
        files["towers/item.yaml"]["features"].pop(1)
    else:
        frames["items"] = frames["items"].drop(columns="created_at")
    shown = cli("prepare", "--project", write_project(tmp_path, frames, files))
    assert shown.exit_code == 0, shown.output
    assert "1,500 events" in shown.stdout
