"""Versions of a store with known vectors, made in a moment."""

import hashlib
import json

import numpy as np

from unified_ranker.store.alignment import VectorSpace
from unified_ranker.store.version_manifest import LogOrigin, ReleaseOrigin, VersionNotes

WIDTH = 8
DATA = {"checksum": "d" * 64, "window": {"start": 0, "fit_end": 500, "end": 999}}
MANIFEST = json.dumps(
    {
        "format": 1, "project": "toy", "model_name": "toy", "version": 7, "config": {}, "config_hash": "abc",
        "versions": {"model": 7, "vectors": 7, "index": 7}, "tasks_trained": [], "rows": {}, "vector_width": WIDTH,
        "parent": None, "git_commit": "f00", "data": DATA,
    }
)  # fmt: skip
RELEASE = ReleaseOrigin(
    version=7,
    project="toy",
    path="/nowhere/7",
    manifest_sha256=hashlib.sha256(MANIFEST.encode()).hexdigest(),
    config_hash="abc",
    git_commit="f00",
    log=LogOrigin("d" * 64, 0, 500, 999),
)


def write_release(releases):
    """Write as much of release 7 as the chain leads to; returns where releases are."""
    (releases / "7").mkdir(parents=True)
    (releases / "7" / "manifest.json").write_text(MANIFEST)
    return releases


def unit(count, width=WIDTH, seed=0):
    vectors = np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def names(count, kind="item"):
    return [f"{kind}-{n}" for n in range(count)]


def notes(version, reference=0, release=RELEASE):
    return VersionNotes(release=release, as_of=1000, key="k", space=VectorSpace(reference or version, np.eye(WIDTH)))


def seal(store, items=None, users=None, limits=None, time=1000, reference=0, ids=None):
    """Write and seal a version, inside of `writing`; returns its number."""
    items = unit(20) if items is None else items
    parts = {"item": items} | ({} if users is None else {"user": users})
    draft = store.begin({kind: WIDTH for kind in parts}, limits)
    for kind, vectors in parts.items():
        draft.put_many(kind, (ids or {}).get(kind) or names(len(vectors), kind), vectors, time, 7)
    draft.seal(notes(draft.version, reference))
    return draft.version


def export(store, *arguments, force=(), keep=3, **keywords):
    """Write, seal and publish a version; returns its number."""
    with store.writing():
        version = seal(store, *arguments, **keywords)
        store.publish(version, keywords.get("limits"), force, keep)
    return version
