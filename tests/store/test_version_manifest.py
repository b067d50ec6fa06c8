"""Manifest of a version: the document of an earlier engine is read whole, and written as it was."""

import copy

import numpy as np
import pytest
from store_toy import WIDTH, export, notes, unit

from unified_ranker.core.errors import UserError
from unified_ranker.store import Limits, open_store
from unified_ranker.store.alignment import VectorSpace
from unified_ranker.store.version_manifest import LogOrigin, VersionManifest

CHECK = {
    "name": "lost", "kind": "user", "passed": False, "count": 30, "of": 60, "rule": "at most 5.0% of the published ids "
    "are missing", "examples": ["u0", "u1"],
}  # fmt: skip
DRIFT = {
    "reference": 1, "items": 40, "cosine_before": 0.1, "cosine_after": 0.99, "distance_before": 1.4,
    "distance_after": 0.1, "neighbour_overlap": 0.9,
}  # fmt: skip
WRITTEN = {
    "format": 1,
    "version": 3,
    "kinds": {"item": {"width": 2, "count": 1682, "digest": "00f0"}, "user": {"width": 2, "count": 30, "digest": "1"}},
    "release": {
        "version": 7, "project": "toy", "path": "/there/7", "manifest_sha256": "ab", "config_hash": "cd",
        "git_commit": None, "data": {"checksum": "ef", "window": {"start": 1, "fit_end": 5, "end": 9}},
    },
    "as_of": 1000,
    "key": "k",
    "keep": 2,
    "space": {"reference": 1, "width": 2, "transform": VectorSpace(1, np.eye(2)).document()["transform"],
              "report": {**DRIFT, "published": {"version": 2, "cosine": 0.98, "neighbour_overlap": 0.8}}},
    "created_at": 2000,
    "published_at": 2001,
    "limits": {"duplicate_vectors": 0.1, "lost": 0.05, "norm_change": 0.1, "norms": 0.05, "neighbours": 0.9},
    "checks": [CHECK, {**CHECK, "kind": "item", "passed": True}],
    "forced": [CHECK],
    "bytes": 40_960,
}  # fmt: skip
"""As the engine of commit f44eded wrote it, in LMDB."""


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"published_at": None, "forced": []},
        {"space": {**WRITTEN["space"], "report": {}}},
        {"space": {**WRITTEN["space"], "report": DRIFT}},
        {"release": {**WRITTEN["release"], "data": None, "git_commit": "f00"}},
    ],
)
def test_what_was_written_is_read_and_written_as_it_was(change):
    document = {**copy.deepcopy(WRITTEN), **change}
    assert VersionManifest.of_document(document, "it").document() == {**WRITTEN, **change}


def test_its_values_are_those_of_the_document():
    read = VersionManifest.of_document(WRITTEN, "it")
    assert read.kinds_line == "1,682 item x 2, 30 user x 2"
    assert read.forced_line == "; forced checks: lost"
    assert (read.release.version, read.release.log) == (7, LogOrigin("ef", 1, 5, 9))
    assert (read.keep, read.limits, read.published_at) == (2, Limits(), 2001)
    assert read.space.drift.published.cosine == 0.98
    assert [(check.name, check.count, check.examples) for check in read.forced] == [("lost", 30, ("u0", "u1"))]


def test_values_that_early_versions_lack_have_defaults():
    early = {name: value for name, value in WRITTEN.items() if name not in ("key", "keep")}
    assert (VersionManifest.of_document(early, "it").key, VersionManifest.of_document(early, "it").keep) == ("", 3)


def test_another_format_is_refused():
    with pytest.raises(UserError, match="it has store format 2; this version of unified_ranker reads 1"):
        VersionManifest.of_document({**WRITTEN, "format": 2}, "it")


def test_publishing_keeps_what_the_backend_has_added(tmp_path):
    """LMDB's size of the file: without it the version could not be opened again."""
    with open_store(tmp_path / "store") as store:
        export(store, unit(20))
        assert store.backend.manifest(1)["bytes"] > 0
    with open_store(tmp_path / "store", 1) as again:
        assert again.manifest.as_of == notes(1).as_of
        assert again.manifest.kinds["item"].width == WIDTH
