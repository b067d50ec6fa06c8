"""Workspace of a project: where its directories are, its data files and their checksum."""

import pandas as pd
import pytest
from small_project import declarations, write_files, write_project

from unified_ranker.config import Config
from unified_ranker.config.loading import load_config
from unified_ranker.core.errors import UserError
from unified_ranker.project.workspace import Workspace


@pytest.fixture
def project(tmp_path):
    return write_project(tmp_path / "project")


def opened(project, *overrides):
    return Workspace(project, load_config(project, overrides))


def test_stages_and_releases_lie_where_the_project_says(tmp_path):
    files = declarations()
    files["project.yaml"] |= {"work_dir": "scratch", "releases_dir": "out/models"}
    write_files(tmp_path, files)
    workspace = opened(tmp_path)
    assert workspace.stage("train") == tmp_path / "scratch" / "train"
    assert workspace.releases == tmp_path / "out" / "models"


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
