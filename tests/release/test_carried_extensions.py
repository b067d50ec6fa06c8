"""Extensions of a release: it opens wherever it lies, with the code that it was made with, and with no other."""

import shutil
import sys

import pytest
from extended_release import MODULES, extended_release, write_modules
from own_extensions import forgotten_afterwards
from release_toy import edit_manifest, seal

from unified_ranker.core.errors import UserError
from unified_ranker.release.carried_extensions import write_extensions
from unified_ranker.release.links import BrokenLinkError
from unified_ranker.release.manifest import read_manifest
from unified_ranker.release.verify_release import verify_release


@pytest.fixture(autouse=True)
def _forgotten():
    with forgotten_afterwards(*MODULES):
        yield


@pytest.fixture
def release(tmp_path, toy_prepared, toy_config):
    """A release of a project with an extension; the project is gone, and this process knows nothing of it."""
    project = write_modules(tmp_path / "project")
    made = extended_release(tmp_path / "releases", toy_prepared, toy_config, project)
    shutil.rmtree(project)
    return made


def index_of(release):
    return read_manifest(release).config.export.embeddings.index


def refusal(release):
    with pytest.raises(UserError) as caught:
        _ = read_manifest(release).config
    assert not set(MODULES) & sys.modules.keys(), "no code was run"
    return str(caught.value)


def uncarried(release, requirement=""):
    """Make the release one that names its extension and does not carry it."""
    shutil.rmtree(release / "extensions")
    entry = {"module": "slow_index", "carried": False, "requirement": requirement}
    edit_manifest(release, "extensions", value=[entry])
    seal(release)
    return release


def test_it_opens_with_the_files_that_it_carries_and_stays_as_it_is(release):
    before = sorted(release.rglob("*"))
    manifest = read_manifest(release)
    assert [one.module for one in manifest.extensions if one.carried] == ["slow_index"]
    assert {name for name in manifest.files if name.startswith("extensions/")} == {
        "extensions/slow_index.py",
        "extensions/slow_words.py",
    }
    assert index_of(release).says == "slow"
    assert sorted(release.rglob("*")) == before


def test_each_of_two_releases_has_its_own_code(tmp_path, toy_prepared, toy_config):
    releases = [
        extended_release(tmp_path / "releases", toy_prepared, toy_config, write_modules(tmp_path / "project", says))
        for says in ("slow", "slower")
    ]
    assert [index_of(release).says for release in releases] == ["slow", "slower"]
    assert index_of(releases[0]).says == "slow"


def test_a_file_with_another_text_is_not_run(release):
    (release / "extensions" / "slow_words.py").write_text("SAYS = 'other'\n")
    said = refusal(release)
    assert f"`{release}/extensions/slow_words.py` has changed since the release was written, so it was not run" in said
    with pytest.raises(BrokenLinkError, match=r"broken link `extensions`: .*slow_words\.py` has changed"):
        verify_release(release)


def test_a_file_that_the_manifest_does_not_list_is_not_run(release):
    (release / "extensions" / "numpy.py").write_text("")
    assert "Received: `extensions/numpy.py`, which only one of them has" in refusal(release)


def test_a_file_that_was_not_copied_is_named(release):
    (release / "extensions" / "slow_words.py").unlink()
    assert "Received: `extensions/slow_words.py`, which only one of them has" in refusal(release)


def test_one_that_is_not_carried_and_not_here_is_named_with_the_remedy(release):
    said = refusal(uncarried(release))
    assert said.startswith(
        "release 1 needs the extension `slow_index`, which is not on PYTHONPATH, among the installed"
    )
    assert "Put the directory of `slow_index` on PYTHONPATH, or export again with its file beside project.yaml" in said
    assert "needs `type`" not in said, "what follows from it is not said"


def test_one_of_an_installed_package_is_named_with_its_version(release):
    assert refusal(uncarried(release, "slow-index==1.2")).endswith("Install the package `slow-index==1.2`.")


def test_one_that_is_not_carried_is_found_on_the_search_path(release, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(write_modules(tmp_path / "installed", "installed"))
    assert index_of(uncarried(release)).says == "installed"


def test_a_release_from_before_there_was_the_list_says_the_same(release):
    uncarried(release)
    edit_manifest(release, "extensions", value=[])
    assert "release 1 needs the extension `slow_index`, which is not on PYTHONPATH" in refusal(release)


def test_a_package_that_the_carried_code_imports_is_named(tmp_path, toy_prepared, toy_config):
    project = write_modules(tmp_path / "project")
    (project / "slow_words.py").write_text("import no_such_package\n")
    made = extended_release(tmp_path / "releases", toy_prepared, toy_config, project)
    with pytest.raises(UserError) as caught:
        index_of(made)
    assert "release 1 needs the extension `slow_index`, which imports `no_such_package`, which is not" in str(
        caught.value
    )
    assert str(caught.value).endswith("Install the package that has it.")


def test_a_kind_of_a_package_that_is_not_here_names_the_package(release):
    """Its entry points registered the kind, so the project did not name it."""
    uncarried(release)
    edit_manifest(release, "config", "project", "extensions", value=[])
    entry = {"module": "no_such_package", "carried": False, "requirement": "no-such-package==3.1"}
    edit_manifest(release, "extensions", value=[entry])
    said = refusal(release)
    assert "`export.embeddings.index`: needs `type`, one of" in said
    assert "made with these packages, which are not installed here: `no-such-package==3.1`. Train and export" in said


def test_an_installed_module_is_written_by_its_package_and_has_no_files(tmp_path):
    written = write_extensions(tmp_path / "release", ["pytest"], tmp_path / "project")
    assert [(one.carried, one.requirement) for one in written if one.module == "pytest"] == [
        (False, f"pytest=={pytest.__version__}")
    ]
    assert not (tmp_path / "release").exists()
