"""Manifest of a release: complete when it is written, and read as it was, or refused with a reason."""

import json

import pytest
from release_toy import edit_manifest, make_release, toy_manifest

from unified_ranker.core.digests import sha256
from unified_ranker.core.errors import UserError
from unified_ranker.evaluation.blend_weights import ChannelWeight, TaskBlend
from unified_ranker.release.index import IndexDescription
from unified_ranker.release.layout import RELEASE_MANIFEST, Layout
from unified_ranker.release.manifest import (
    MANIFEST_FORMAT,
    DataWindow,
    Parent,
    ReleaseData,
    read_manifest,
    write_manifest,
)


def test_what_is_written_is_what_is_read(tmp_path, toy_config):
    written = toy_manifest(
        toy_config,
        4,
        15,
        data=ReleaseData(checksum="c", window=DataWindow(start=1, fit_end=2, end=3)),
        index=IndexDescription(type="scann", items=15, width=12, leaves=3, leaves_to_search=2, reorder=9),
        metrics={"search": {"joint model": {"mrr": 0.25}}},
        signatures=("encode",),
        blends=(TaskBlend("search", 900, 0.75, 0.25, (ChannelWeight("score", 2.0, 0.1), ChannelWeight("like", 0.0))),),
        parent=Parent(version=3, manifest_sha256="d"),
    )
    write_manifest(Layout(tmp_path), written)
    read = read_manifest(tmp_path)
    by_writing = {"libraries", "git_commit"}
    assert read.model_dump(exclude=by_writing) == written.model_dump(exclude=by_writing)
    assert read.config == toy_config
    tree = json.loads((tmp_path / RELEASE_MANIFEST).read_text())
    assert tree["config"] == toy_config.to_json(), "the full configuration, as declared"


def test_a_manifest_from_before_there_was_a_blend_has_none(tmp_path, toy_prepared, toy_config):
    release = make_release(tmp_path, toy_prepared, toy_config)
    file = release / RELEASE_MANIFEST
    tree = json.loads(file.read_text())
    del tree["blends"]
    file.write_text(json.dumps(tree))
    assert read_manifest(release).blends == ()


def test_a_setting_that_never_had_an_effect_is_dropped(tmp_path, toy_prepared, toy_config):
    release = make_release(tmp_path, toy_prepared, toy_config)
    edit_manifest(release, "config", "project", "samples", value={"a": "b"})
    assert read_manifest(release).config == toy_config


def test_the_manifest_lists_every_file(tmp_path, toy_config):
    layout = Layout(tmp_path)
    (tmp_path / "deep/er").mkdir(parents=True)
    (tmp_path / "deep/er/file").write_text("content")
    (tmp_path / "deep/manifest.json").write_text("{}")
    write_manifest(layout, toy_manifest(toy_config, 4, 15))
    manifest = read_manifest(tmp_path)
    assert manifest.version == 4
    assert manifest.format == MANIFEST_FORMAT
    assert set(manifest.files) == {"deep/er/file", "deep/manifest.json"}
    assert manifest.files["deep/er/file"] == sha256(tmp_path / "deep/er/file")
    assert manifest.libraries["tensorflow"].startswith("2.20")


def test_a_directory_without_a_manifest_is_no_release(tmp_path, toy_prepared, toy_config):
    make_release(tmp_path, toy_prepared, toy_config)
    with pytest.raises(UserError, match=r"is no release: it holds no manifest.json. Releases there: 1, latest. Name"):
        read_manifest(tmp_path / "3")
    with pytest.raises(UserError, match=r"There is no release beside it"):
        read_manifest(tmp_path / "no" / "where")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"format": 1', "is damaged"),
        ("[]", "has format None; this version of unified_ranker reads 1"),
        (json.dumps({"format": 99}), "has format 99; this version of unified_ranker reads 1"),
    ],
)
def test_a_manifest_that_cannot_be_read(tmp_path, content, words):
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(UserError, match=words):
        read_manifest(tmp_path)


def test_a_manifest_that_lacks_a_field_names_it(tmp_path, toy_prepared, toy_config):
    release = make_release(tmp_path, toy_prepared, toy_config)
    tree = json.loads((release / RELEASE_MANIFEST).read_text())
    del tree["versions"]["index"]
    (release / RELEASE_MANIFEST).write_text(json.dumps(tree))
    with pytest.raises(UserError, match=rf"`versions.index` of `{release}/manifest.json`: Field required\. Export"):
        read_manifest(release)
    edit_manifest(release, "versions", value=7)
    with pytest.raises(UserError, match=r"`versions` of .* Received: 7\. Export again"):
        read_manifest(release)


def test_a_field_of_a_later_version_is_passed_over(tmp_path, toy_prepared, toy_config):
    release = make_release(tmp_path, toy_prepared, toy_config)
    before = read_manifest(release)
    edit_manifest(release, "of_tomorrow", value={"x": 1})
    assert read_manifest(release) == before
