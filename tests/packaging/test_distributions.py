"""What a stranger gets: the wheel has all that runs, the source distribution all that the repository has."""

import email.parser
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from unified_ranker.project.init.serving_text import SOURCE, serving_texts

pytestmark = pytest.mark.installs
ROOT = Path(__file__).parents[2]

MISSION = {
    "tensorflow", "tensorflow-recommenders", "scann", "tensorflow-serving-api", "apache-beam", "pandas"
}  # fmt: skip


@pytest.fixture(scope="module")
def files(wheel):
    """The wheel's files by name."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def metadata(files):
    [name] = [name for name in files if name.endswith(".dist-info/METADATA")]
    return email.parser.BytesParser().parsebytes(files[name])


def test_the_wheel_has_every_file_of_the_package_and_no_other(files):
    package = ROOT / "unified_ranker"
    there = {
        path.relative_to(ROOT).as_posix(): path.read_bytes()
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.is_relative_to(SOURCE)
    }
    given = {
        (SOURCE / name.removeprefix("serving_config/")).relative_to(ROOT).as_posix(): text.encode()
        for name, text in serving_texts("unified-ranker").items()
    }
    inside = {name: content for name, content in files.items() if ".dist-info/" not in name}
    assert inside == there | given


def test_a_plain_install_brings_the_packages_of_the_mission_by_their_pins(metadata):
    wanted = [Requirement(text) for text in metadata.get_all("Requires-Dist")]
    plain = {r.name: r for r in wanted if r.marker is None or "extra" not in str(r.marker)}
    assert plain.keys() >= MISSION
    assert all(str(plain[name].specifier).startswith("==") for name in MISSION)


def test_it_says_whose_it_is_and_under_which_licence_and_invents_no_address(metadata, files):
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Author"] == "the unified_ranker authors"
    [licence] = [content for name, content in files.items() if name.endswith("licenses/LICENSE")]
    assert licence == (ROOT / "LICENSE").read_bytes()
    assert b"Apache License" in licence
    assert b"the unified_ranker authors" in licence
    for field in ("Home-page", "Project-URL", "Author-email", "Maintainer-email", "Download-URL"):
        assert metadata.get_all(field) is None, field
    assert metadata["Requires-Python"] == "<3.12,>=3.11"
    assert metadata.get_payload().startswith("# unified_ranker")


def test_the_source_distribution_has_every_file_of_the_repository(dist):
    if not (ROOT / ".git").exists():
        pytest.skip("without a git repository nobody knows which files are its")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    [file] = dist.glob("*.tar.gz")
    with tarfile.open(file) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    tracked = {name for name in listed.split("\0") if name and (ROOT / name).is_file()}
    assert tracked <= inside | {".gitignore"}
