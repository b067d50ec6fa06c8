"""A release with everything in it but a real model, made in a moment."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from unified_ranker.config import Config
from unified_ranker.core.digests import sha256
from unified_ranker.prepare.prepared import Prepared
from unified_ranker.release.index import build_index
from unified_ranker.release.indexes.exact import ExactIndex
from unified_ranker.release.indexes.scann import ScannIndex
from unified_ranker.release.items import write_catalogue, write_items
from unified_ranker.release.layout import RELEASE_MANIFEST, new_release
from unified_ranker.release.manifest import Manifest, Parent, PartVersions, write_manifest

EXACT = ExactIndex(type="exact")


def make_release(
    releases: Path,
    prepared: Prepared,
    config: Config,
    parent: Path | None = None,
    vectors: np.ndarray | None = None,
    **manifest: Any,
) -> Path:
    """Write the next release into `releases`; without `vectors` they are random, and differ from release to release."""
    before = None
    if parent is not None:
        before = Parent(version=int(parent.name), manifest_sha256=sha256(parent / RELEASE_MANIFEST))
    if vectors is None:
        seed = len(list(releases.glob("*")))
        vectors = np.random.default_rng(seed).normal(size=(len(prepared.items), config.query_dim)).astype(np.float32)
    return write_release(releases, config, prepared.items, vectors, parent=before, **manifest)


def write_release(
    releases: Path,
    config: Config,
    catalogue: pd.DataFrame,
    vectors: np.ndarray,
    model: Callable[[Path], None] | None = None,
    index: ExactIndex | ScannIndex = EXACT,
    **manifest: Any,
) -> Path:
    """Write the next release of a catalogue and its vectors; `model` writes the model, by default one in name only."""
    with new_release(releases) as (layout, version):
        (model or no_model)(layout.model_base / str(version))
        ids = catalogue["item_id"].to_numpy(object)
        write_items(layout.items, ids, vectors)
        features = [feature.column for feature in config.towers.item.features]
        write_catalogue(layout.catalogue, SimpleNamespace(items=catalogue), features)
        build_index(layout.index, ids, vectors, index)
        (layout.root / "report.json").write_text(json.dumps({"config_digest": config.digest()}))
        (layout.root / "report.html").write_text("<p>a report</p>")
        write_manifest(layout, toy_manifest(config, version, len(ids), **{"signatures": ("encode",), **manifest}))
    return releases / str(version)


def no_model(directory: Path) -> None:
    """Write a model in name only."""
    (directory / "variables").mkdir(parents=True)
    (directory / "saved_model.pb").write_bytes(b"a graph")
    (directory / "variables" / "variables.index").write_bytes(b"some weights")


def toy_manifest(config: Config, version: int, items: int, **more: Any) -> Manifest:
    """Describe a release of which nothing else is known."""
    return Manifest(
        **{
            "project": config.project.name,
            "model_name": "toy",
            "version": version,
            "versions": PartVersions(model=version, vectors=version, index=version),
            "declarations": config.to_json(),
            "config_hash": config.digest(),
            "tasks_trained": tuple(config.tasks),
            "rows": {"items": items},
            "vector_width": config.query_dim,
            "parent": None,
            **more,
        }
    )


def edit_manifest(release: Path, *path: str, value: object) -> None:
    """Set one value in the manifest."""
    file = release / RELEASE_MANIFEST
    manifest = json.loads(file.read_text())
    node = manifest
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    file.write_text(json.dumps(manifest))


def seal(release: Path) -> None:
    """Make the manifest list the files as they are: only what they hold can then be wrong."""
    files = {
        str(f.relative_to(release)): sha256(f) for f in release.rglob("*") if f.is_file() and f.name != RELEASE_MANIFEST
    }
    edit_manifest(release, "files", value=files)
