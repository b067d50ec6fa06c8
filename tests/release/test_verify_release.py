"""Every link of a release's chain, broken once."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from release_toy import edit_manifest, make_release, seal

from unified_ranker.config import digest_of
from unified_ranker.core.errors import UserError
from unified_ranker.model.catalogue import quality_of
from unified_ranker.prepare.prepared import fit_end_of
from unified_ranker.release.counts import StoredCounts
from unified_ranker.release.items import read_catalogue, read_items, write_items
from unified_ranker.release.links import BrokenLinkError
from unified_ranker.release.manifest import read_manifest
from unified_ranker.release.verify_release import verify_release

LINKS = ["manifest", "configuration", "files", "vectors", "model", "index", "report", "parent"]
FILES = [
    "model/2/saved_model.pb",
    "model/2/variables/variables.index",
    "items/vectors.parquet",
    "catalogue/catalogue.parquet",
    "index/index.json",
    "index/ids.json",
    "report.json",
    "report.html",
]


@pytest.fixture(scope="module")
def kept(tmp_path_factory, toy_prepared, toy_config):
    releases = tmp_path_factory.mktemp("kept")
    first = make_release(releases, toy_prepared, toy_config)
    make_release(releases, toy_prepared, toy_config, parent=first)
    return releases


@pytest.fixture
def release(kept, tmp_path):
    """A second release, to be broken; the first is beside it."""
    shutil.copytree(kept, tmp_path / "releases", symlinks=True)
    return tmp_path / "releases" / "2"


def broken(release, link, *words):
    with pytest.raises(BrokenLinkError) as caught:
        verify_release(release)
    message = str(caught.value)
    assert message.startswith(f"`{release}`: broken link `{link}`: ")
    for word in words:
        assert word in message, message


def test_a_release_under_the_number_of_another_is_refused(release):
    """A reload by number would answer by it."""
    copy = shutil.copytree(release, release.parent / "3")
    broken(copy, "manifest", "must hold release 3", "Received: release 2")
    assert verify_release(copy.rename(release.parent / "copy")), "a name that is no number says nothing"


def test_every_link_holds(release):
    lines = verify_release(release)
    assert [line.split(":")[0] for line in lines] == LINKS
    assert lines[0] == "manifest: format 1, release 2"
    assert lines[2] == f"files: {len(FILES)} files, SHA-256 of each"
    assert lines[-1] == "parent: release 1, unchanged"
    assert verify_release(release.parent / "1")[-1] == "parent: none: a first release"
    assert verify_release(release.parent / "latest") == lines


# --- manifest and configuration -----------------------------------------------------------------------------------


def test_no_manifest(release):
    (release / "manifest.json").unlink()
    broken(release, "manifest", "holds no manifest.json", "Releases there: 1")


def test_a_damaged_manifest(release):
    file = release / "manifest.json"
    file.write_text(file.read_text()[:-20])
    broken(release, "manifest", "is damaged")


def test_a_manifest_without_a_version(release):
    file = release / "manifest.json"
    manifest = json.loads(file.read_text())
    del manifest["version"]
    file.write_text(json.dumps(manifest))
    broken(release, "manifest", "version")


@pytest.mark.parametrize("value", [16, "many"])
def test_an_edited_configuration(release, value):
    edit_manifest(release, "config", "towers", "item", "dim", value=value)
    broken(release, "configuration")


def test_a_configuration_with_a_setting_that_has_gone_is_refused_with_the_reason(release):
    edit_manifest(release, "config", "tasks", "search", "quality_weights", value="learnt")
    words = ("`tasks.search.quality_weights`", "`learnt` is gone", "`tune-quality` fits weights", "made release 2")
    broken(release, "configuration", *words)
    with pytest.raises(UserError, match=r"`learnt` is gone.*Train and export again"):
        _ = read_manifest(release).config  # as whoever opens it without a look at its chain


def test_a_configuration_from_before_a_setting_came_is_as_it_was_written(release):
    manifest = json.loads((release / "manifest.json").read_text())
    older = manifest["config"]["towers"]["user"]
    del older["personal"]
    edit_manifest(release, "config", "towers", "user", value=older)
    edit_manifest(release, "config_hash", value=digest_of(manifest["config"]))
    broken(release, "report", "config hash of the report")  # the next link: this one holds


def test_an_edited_hash(release):
    edit_manifest(release, "config_hash", value="0" * 16)
    broken(release, "configuration", "config hash must be '0000000000000000'")


# --- files --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_byte(release, name):
    content = bytearray((release / name).read_bytes())
    content[len(content) // 2] ^= 1
    (release / name).write_bytes(content)
    broken(release, "files", f"`{name}` has changed", "SHA-256")


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file(release, name):
    (release / name).unlink()
    broken(release, "files", f"Missing: ['{name}']")


@pytest.mark.parametrize("name", ["index/more", "model/2/assets.extra/more", "more", "items/manifest.json"])
def test_an_additional_file(release, name):
    (release / name).parent.mkdir(exist_ok=True)
    (release / name).write_text("more")
    broken(release, "files", f"not in it: ['{name}']")


@pytest.mark.parametrize(("part", "file"), [("items", "vectors.parquet"), ("report.json", None)])
def test_a_part_of_another_release(release, part, file):
    other = release.parent / "1" / part
    if file is None:
        other.write_text(other.read_text() + " ")
        shutil.copy(other, release / part)
    else:
        shutil.rmtree(release / part)
        shutil.copytree(other, release / part)
    broken(release, "files", part)


# --- what the files hold: the manifest lists them as they are -----------------------------------------------------


def rewrite(release, change):
    ids, vectors = read_items(release / "items")
    ids, vectors = change(ids.copy(), vectors.copy())
    write_items(release / "items", ids, vectors)
    seal(release)


def at(array, place, value):
    array[place] = value
    return array


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda i, v: (i, v[:, 1:]), ["vector width must be 12", "Received: 11"]),
        (lambda i, v: (i[1:], v[1:]), ["items must be 15", "Received: 14"]),
        (lambda i, v: (at(i, 3, i[4]), v), ["unique"]),
        (lambda i, v: (i, at(v, (2, 5), np.nan)), ["finite", "Received: 1 broken"]),
        (lambda i, v: (i, at(v, (2, 5), np.inf)), ["finite", "Received: 1 broken"]),
        (lambda i, v: (i, at(v, (2, 5), -np.inf)), ["finite", "Received: 1 broken"]),
        (lambda i, v: (i, at(v, 2, 0)), ["not zero", "Received: 1 broken"]),
        (lambda i, v: (i[::-1], v[::-1]), ["catalogue and vectors", "same order"]),
    ],
)
def test_vectors_that_do_not_hold(release, change, words):
    rewrite(release, change)
    broken(release, "vectors", *words)


def test_a_catalogue_of_other_items(release):
    file = release / "catalogue" / "catalogue.parquet"
    read_catalogue(release / "catalogue").iloc[1:].to_parquet(file, index=False)
    seal(release)
    broken(release, "vectors", "catalogue and vectors")


def test_a_model_of_another_version(release):
    (release / "model/2").rename(release / "model/3")
    seal(release)
    broken(release, "model", "version of the model must be 2", "Received: 3")


def test_two_models(release):
    shutil.copytree(release / "model/2", release / "model/3")
    seal(release)
    broken(release, "model", "one version directory")


def test_no_model(release):
    shutil.rmtree(release / "model")
    seal(release)
    broken(release, "model", "model")


def test_a_model_without_its_graph(release):
    (release / "model/2/saved_model.pb").unlink()
    seal(release)
    broken(release, "model", "no saved_model.pb")


@pytest.mark.parametrize("part", ["vectors", "model", "index"])
def test_versions_that_do_not_belong_together(release, part):
    edit_manifest(release, "versions", part, value=1)
    broken(release, part, "must be 2", "Received: 1")


def test_an_index_over_other_items(release):
    file = release / "index/ids.json"
    file.write_text(json.dumps(json.loads(file.read_text())[::-1]))
    seal(release)
    broken(release, "index", "index and vectors must list the same items")


@pytest.mark.parametrize(("key", "words"), [("width", "width of the index"), ("items", "items of the index")])
def test_an_index_of_another_size(release, key, words):
    file = release / "index/index.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), key: 5}))
    seal(release)
    broken(release, "index", words, "Received: 5")


def test_no_index(release):
    shutil.rmtree(release / "index")
    seal(release)
    broken(release, "index", "index.json")


def test_a_report_of_another_configuration(release):
    (release / "report.json").write_text(json.dumps({"config_digest": "f" * 16}))
    seal(release)
    broken(release, "report", "config hash of the report")


@pytest.mark.parametrize("name", ["report.json", "report.html"])
def test_half_a_report(release, name):
    (release / name).unlink()
    seal(release)
    broken(release, "report", name)


def test_a_parent_that_changed(release):
    edit_manifest(release.parent / "1", "project", value="another")
    broken(release, "parent", "manifest of the parent")


def test_a_parent_that_is_no_longer_kept(release):
    shutil.rmtree(release.parent / "1")
    assert verify_release(release)[-1] == "parent: release 1, no longer kept"


def test_the_first_broken_link_is_named(release):
    """Of several."""
    (release / "report.html").unlink()
    (release / "report.json").write_text("{}")
    edit_manifest(release, "versions", "index", value=1)
    seal(release)
    broken(release, "index")


def one_line(release, link):
    with pytest.raises(BrokenLinkError) as caught:
        verify_release(release)
    message = str(caught.value)
    assert f"broken link `{link}`" in message
    assert str(release) in message
    assert "manifest.json" in message
    assert "\n" not in message
    assert "http" not in message
    return message


def test_a_configuration_that_is_none_is_reported_in_one_line(release):
    edit_manifest(release, "config", "project", "training", value={"epochs": "x", "y": 1})
    assert "`project.training.epochs`" in one_line(release, "configuration")


def test_a_parent_that_is_no_mapping_is_reported_in_one_line(release):
    edit_manifest(release, "parent", value=5)
    assert "Received: 5." in one_line(release, "manifest")


def test_a_directory_of_releases_names_them(release):
    with pytest.raises(
        BrokenLinkError, match=r"is a directory of releases, and no release.*Name one of them: 1, 2, latest\."
    ):
        verify_release(release.parent)


# --- counts -------------------------------------------------------------------------------------------------------


@pytest.fixture
def counted(release, toy_prepared, toy_config):
    """The release with the events that its popularities count."""
    end = fit_end_of(toy_prepared, toy_config)
    stored = StoredCounts.of(quality_of(toy_prepared, toy_config, end), toy_prepared.events, end)
    described = stored.write(release / "counts")
    edit_manifest(release, "counts", value=described.model_dump())
    seal(release)
    return release, stored


def test_a_release_with_counts_has_a_link_more(counted):
    release, stored = counted
    lines = verify_release(release)
    assert [line.split(":")[0] for line in lines] == [*LINKS[:6], "counts", *LINKS[6:]]
    assert lines[6] == f"counts: {len(stored.item)} events of 2 popularities"
    assert 0 < len(stored.item) < stored.before[0].sum()


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [("item", 999, "of the release's items"), ("time", 0, "in order of time"), ("time", 2**40, "end with the log")],
)
def test_counted_events_that_do_not_hold(counted, column, value, words):
    release, stored = counted
    changed = getattr(stored, column).copy()
    changed[-1] = value
    shutil.rmtree(release / "counts")
    replace(stored, **{column: changed}).write(release / "counts")
    seal(release)
    broken(release, "counts", words)
