"""Where stages keep what they make: whole or not at all, and known by what went in."""

import os
from pathlib import Path

import pandas as pd
import pytest
from small_project import declarations, write_files, write_project

from unified_ranker.config import Config
from unified_ranker.config.loading import load_config
from unified_ranker.core.errors import UserError
from unified_ranker.project.workspace import Workspace, fill, fresh, project_of, stamp_of


@pytest.fixture
def project(tmp_path):
    return write_project(tmp_path / "project")


def opened(project, *overrides):
    return Workspace(project, load_config(project, overrides))


def entries(directory):
    return sorted(p.name for p in directory.iterdir())


def test_a_filled_directory_appears_whole_with_its_stamp(tmp_path):
    target = tmp_path / "work" / "stage"
    with fill(target, "key") as (draft, notes):
        (draft / "made").write_text("1")
        notes["rows"] = 3
        assert not target.exists()
    assert entries(target) == ["made", "stamp.json"]
    assert entries(tmp_path / "work") == ["stage"]
    assert stamp_of(target) == {"key": "key", "rows": 3}
    assert fresh(target, "key")
    assert not fresh(target, "other")
    assert not fresh(tmp_path / "absent", "key")


def test_a_directory_is_filled_for_everyone_to_read(tmp_path):
    before = os.umask(0o022)
    try:
        with fill(tmp_path / "stage", "key"):
            pass
    finally:
        os.umask(before)
    assert (tmp_path / "stage").stat().st_mode & 0o777 == 0o755


def test_a_refill_replaces_everything(tmp_path):
    for name in ("old", "new"):
        with fill(tmp_path / "stage", name) as (draft, _):
            (draft / name).touch()
    assert entries(tmp_path / "stage") == ["new", "stamp.json"]
    assert entries(tmp_path) == ["stage"]


@pytest.mark.parametrize("fault", [ValueError, KeyboardInterrupt])
def test_what_goes_wrong_leaves_the_old_contents(tmp_path, fault):
    def refill():
        with fill(tmp_path / "stage", "new") as (draft, _):
            (draft / "half").touch()
            raise fault

    with pytest.raises(fault):
        refill()
    assert entries(tmp_path) == []
    with fill(tmp_path / "stage", "old") as (draft, _):
        (draft / "made").touch()
    with pytest.raises(fault):
        refill()
    assert entries(tmp_path) == ["stage"]
    assert entries(tmp_path / "stage") == ["made", "stamp.json"]
    assert fresh(tmp_path / "stage", "old")


def test_old_contents_come_back_when_the_new_ones_cannot_take_their_place(tmp_path, monkeypatch):
    with fill(tmp_path / "stage", "old") as (draft, _):
        (draft / "made").touch()
    real, failed = Path.rename, []

    def rename(self, target):
        if target == tmp_path / "stage" and not failed:
            failed.append(self)
            raise PermissionError("not now")
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(PermissionError), fill(tmp_path / "stage", "new"):
        pass
    assert failed
    assert entries(tmp_path) == ["stage"]
    assert fresh(tmp_path / "stage", "old")
    assert (tmp_path / "stage" / "made").exists()


def test_stages_and_releases_lie_where_the_project_says(tmp_path):
    files = declarations()
    files["project.yaml"] |= {"work_dir": "scratch", "releases_dir": "out/models"}
    write_files(tmp_path, files)
    workspace = opened(tmp_path)
    assert workspace.stage("train") == tmp_path / "scratch" / "train"
    assert workspace.releases == tmp_path / "out" / "models"
    assert project_of(workspace.releases / "3", workspace.config) == tmp_path


def test_the_project_of_a_release_is_found_through_a_link(tmp_path):
    write_files(tmp_path, declarations())
    release = tmp_path / "releases" / "12"
    release.mkdir(parents=True)
    (tmp_path / "releases" / "latest").symlink_to("12")
    assert project_of(tmp_path / "releases" / "latest", load_config(tmp_path)) == tmp_path


def test_the_checksum_follows_the_contents_of_every_table(project):
    seen = {opened(project).data_checksum()}
    for name in ("events.parquet", "items.csv", "users.csv"):
        file = project / "data" / name
        before = file.read_bytes()
        if name == "events.parquet":
            pd.read_parquet(file).iloc[1:].to_parquet(file, index=False)
        else:
            file.write_bytes(before.rsplit(b"\n", 2)[0] + b"\n")
        seen.add(opened(project).data_checksum())
        file.write_bytes(before)
    seen.add(opened(project).data_checksum())
    assert len(seen) == 4


def test_the_checksum_of_a_directory_of_tables_follows_its_files(project):
    folder = project / "data" / "parts"
    folder.mkdir()
    events = pd.read_parquet(project / "data" / "events.parquet")
    events.iloc[:700].to_parquet(folder / "0.parquet", index=False)
    workspace = opened(project, "project.data.events=data/parts")
    one = workspace.data_checksum()
    events.iloc[700:].to_parquet(folder / "1.parquet", index=False)
    assert workspace.data_checksum() != one
    assert len(workspace.read_tables().events) == len(events)


def test_the_seed_is_part_of_the_data_only_where_it_derives_them(project, tmp_path):
    assert opened(project).data_checksum() == opened(project, "project.seed=8").data_checksum()
    (tmp_path / "ml").mkdir()
    (tmp_path / "ml" / "u.data").write_text("1\t2\t3\t4\n")
    sums = set()
    for seed in (7, 8):
        files = declarations()
        files["project.yaml"] |= {"data": {"type": "movielens", "path": str(tmp_path / "ml")}, "seed": seed}
        write_files(tmp_path / str(seed), files)
        sums.add(opened(tmp_path / str(seed)).data_checksum())
    assert len(sums) == 2


def test_tables_are_read_as_declared(project):
    tables = opened(project).read_tables()
    assert (len(tables.events), len(tables.items), len(tables.users)) == (1500, 40, 60)
    tree = load_config(project).to_json()
    tree["project"]["data"]["users"] = None
    assert Workspace(project, Config.model_validate(tree)).read_tables().users is None


@pytest.mark.parametrize("table", ["events", "items", "users"])
def test_a_missing_file_is_named_with_its_key(project, table):
    message = rf"`{project}/data/gone.csv` does not exist.*`data\.{table}`.*--set project\.data\.{table}=PATH"
    with pytest.raises(UserError, match=message):
        opened(project, f"project.data.{table}=data/gone.csv").data_checksum()


def test_a_path_from_home_is_resolved(project, monkeypatch):
    monkeypatch.setenv("HOME", str(project / "data"))
    assert opened(project, "project.data.items=~/items.csv").data_files()[1] == project / "data" / "items.csv"
