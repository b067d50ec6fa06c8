"""Project of a release: found from where the release lies, or as it was named, and no other."""

import shutil
from pathlib import Path

import pytest
from release_toy import edit_manifest, make_release
from small_project import declarations, write_files, write_project

from unified_ranker.config.loading import load_config
from unified_ranker.core.errors import UserError
from unified_ranker.project.release_project import directory_of_project, find_project, open_project, path_to_project
from unified_ranker.project.workspace import Workspace
from unified_ranker.release.manifest import read_manifest


@pytest.fixture
def released(tmp_path, toy_prepared):
    """Makes a project whose releases lie in a directory of its choice, and one release there."""

    def make(releases_dir="releases", name="small"):
        files = declarations()
        files["project.yaml"] |= {"releases_dir": releases_dir, "name": name}
        project = tmp_path / name
        write_project(project, files=files)
        return project, make_release(project / releases_dir, toy_prepared, load_config(project))

    return make


@pytest.mark.parametrize("releases_dir", ["releases", "out/releases", "a/b/c"])
def test_the_project_of_an_earlier_release_is_as_far_up_as_its_declaration_says(released, releases_dir):
    project, release = released(releases_dir)
    assert find_project(release, None).project == project
    assert find_project(release.parent / "latest", None).project == project, "through the link"
    assert directory_of_project(release, read_manifest(release)) == project


@pytest.mark.parametrize(
    "releases_dir",
    ["releases", "out/releases", "./releases/", "out/../releases", ".", "../releases", "../../x/releases", "~/releases",
     "{elsewhere}/releases"],
)  # fmt: skip
def test_a_release_finds_its_project_wherever_it_lies(tmp_path, toy_prepared, monkeypatch, releases_dir):
    """Also through its link, and after project and releases have moved together."""
    monkeypatch.setenv("HOME", str(tmp_path / "tree" / "home"))
    project, declared = tmp_path / "tree" / "a" / "b" / "small", releases_dir.format(elsewhere=tmp_path / "tree" / "c")
    files = declarations()
    files["project.yaml"] |= {"releases_dir": declared}
    write_project(project, files=files)
    workspace = Workspace(project, load_config(project))
    noted = path_to_project(workspace.releases / "1", project)
    release = make_release(workspace.releases, toy_prepared, workspace.config, project_path=noted)
    assert find_project(release, None).project == project
    assert find_project(release.parent / "latest", None).project == project
    moved = (tmp_path / "tree").rename(tmp_path / "moved")
    release = moved / release.resolve().relative_to(tmp_path / "tree")
    assert find_project(release, None).project == moved / "a" / "b" / "small"


def test_a_home_of_nobody_is_refused_where_it_is_declared(tmp_path):
    for name, tree in {"releases_dir": "~nobody-here/x", "data": {"type": "movielens", "path": "~nobody-here"}}.items():
        files = declarations()
        files["project.yaml"] |= {name: tree}
        write_project(tmp_path / name, files=files)
        with pytest.raises(UserError, match=r"must name a user of this machine. Received: `~nobody-here"):
            load_config(tmp_path / name)


def test_declarations_are_the_releases_own_unless_the_project_is_named(released):
    project, release = released()
    edit_manifest(release, "config", "project", "data", "events", value="elsewhere/events.parquet")
    assert str(find_project(release, None).config.project.data.events.files) == "elsewhere/events.parquet"
    assert str(find_project(release, project).config.project.data.events.files) == "data/events.parquet"


def test_a_release_that_has_left_its_project_has_none_until_it_is_named(released, tmp_path):
    project, release = released()
    moved = shutil.copytree(release, tmp_path / "elsewhere" / "releases" / "1")
    assert find_project(moved, None) is None
    with pytest.raises(UserError, match=r"`.*elsewhere` must be the release's project.*no project.yaml there"):
        open_project(moved, None)
    assert find_project(moved, project).project == project


def test_another_project_is_refused(released):
    _, release = released()
    other, _ = released(name="other")
    for find in (find_project, open_project):
        with pytest.raises(UserError, match=r"must be the project of the release, `small`. Received: .* `other`"):
            find(release, other)


def test_what_is_published_is_declared_by_the_project_of_today(released):
    project, release = released()
    write_files(project, {"export/embeddings.yaml": {"store": {"place": "vectors-of-today"}}})
    opened = open_project(release, None)
    assert opened.place(None) == str(project / "vectors-of-today")
    assert opened.place("redis://host/0") == "redis://host/0"
    write_files(project, {"export/embeddings.yaml": {"store": {"place": "~/vectors"}}})
    assert open_project(release, None).place(None) == str(Path.home() / "vectors")
    assert opened.embedded.config.towers == load_config(project).towers
    with pytest.raises(UserError, match="has no prepared data"):
        opened.as_prepared()
    origin = opened.embedded.origin()
    assert (origin.version, origin.project, origin.path) == (1, "small", str(release))
