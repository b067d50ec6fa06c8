"""A store's chain from a vector to its release, broken at each link."""

import hashlib
import json
from dataclasses import replace

import pytest
from store_toy import MANIFEST, RELEASE, WIDTH, export, names, notes, unit, write_release

from unified_ranker.release.links import BrokenLinkError
from unified_ranker.store import open_store
from unified_ranker.store.version_manifest import LogOrigin
from unified_ranker.vectors.verify_store import verify_store


@pytest.fixture
def store(tmp_path):
    with open_store(tmp_path / "store") as opened:
        yield opened


@pytest.fixture
def releases(tmp_path):
    return write_release(tmp_path / "releases")


def publish(store, release, *parts):
    """Publish 20 items, in parts of (how many, by which release); returns the version."""
    with store.writing():
        draft, first = store.begin({"item": WIDTH}), 0
        for count, by in parts:
            draft.put_many("item", names(20)[first : first + count], unit(20)[first : first + count], 1000, by)
            first += count
        draft.seal(notes(draft.version, release=release))
        store.publish(draft.version)
    return draft.version


def broken(store, releases, link, says):
    with pytest.raises(BrokenLinkError, match=rf"broken link `{link}`: .*{says}"):
        verify_store(store, None, releases)


def test_an_entry_of_another_release_breaks_the_chain(store, releases):
    publish(store, RELEASE, (19, 7), (1, 8))
    broken(store, releases, "vectors", r"entries must be of release 7. Received: items of \[7, 8\]")


def test_entries_that_are_all_of_another_release_break_it_too(store, releases):
    publish(store, RELEASE, (20, 8))
    broken(store, releases, "vectors", r"release 7. Received: items of \[8\]")


def test_a_user_of_another_release_breaks_it_though_all_items_are_right(store, releases):
    with store.writing():
        draft = store.begin({"item": WIDTH, "user": WIDTH})
        draft.put_many("item", names(20), unit(20), 1000, 7)
        draft.put_many("user", names(5, "user"), unit(5), 1000, 6)
        draft.seal(notes(draft.version))
        store.publish(draft.version)
    broken(store, releases, "vectors", r"users of \[6\]")


@pytest.mark.parametrize(
    ("other", "link", "says"),
    [
        ({"config_hash": "other"}, "configuration", "config hash must be 'other'"),
        ({"git_commit": "other"}, "commit", "commit must be 'other'"),
        ({"log": LogOrigin("other", 0, 500, 999)}, "data window", "data must be .*'other'"),
        ({"manifest_sha256": "other"}, "release", "SHA-256 of its manifest must be 'other'"),
    ],
)
def test_what_the_store_says_of_its_release_must_be_what_the_release_says(store, releases, other, link, says):
    publish(store, replace(RELEASE, **other), (20, 7))
    broken(store, releases, link, says)


def test_a_release_without_a_data_window_says_so(store, tmp_path):
    manifest = json.dumps({**json.loads(MANIFEST), "data": None})
    (tmp_path / "releases" / "7").mkdir(parents=True)
    (tmp_path / "releases" / "7" / "manifest.json").write_text(manifest)
    sha = hashlib.sha256(manifest.encode()).hexdigest()
    publish(store, replace(RELEASE, log=None, manifest_sha256=sha), (20, 7))
    assert "data window: none is noted in the release" in verify_store(store, None, tmp_path / "releases")


def test_entries_that_are_missing_are_counted(store, releases):
    export(store, unit(20))
    kinds = {"item": replace(store.manifest.kinds["item"], count=21)}
    store.backend.note(1, replace(store.manifest, kinds=kinds).document())
    broken(store, releases, "data", "21")
