"""Rebuilding of an index with the live changes, in a process of low priority beside the service.

    python -m unified_ranker.serving.retrieval.rebuilding DIRECTORY

reads `vectors.npy` and `declared.json` there and writes `index/`.
"""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from unified_ranker.config import Embeddings
from unified_ranker.core.extensions import load_extensions
from unified_ranker.release.index import build_index, load_index
from unified_ranker.release.indexes.base import Index
from unified_ranker.serving.answering.opened_release import OpenedRelease

_SECONDS = 1800
_VECTORS, _DECLARED, _INDEX = "vectors.npy", "declared.json", "index"


class RebuildError(RuntimeError):
    """Error: the index could not be rebuilt; the old one stays in use."""


def rebuild(release: OpenedRelease) -> tuple[OpenedRelease, Index]:
    """Return the release with its live changes as ordinary items, and an index over it.

    Raises:
        RebuildError: the process that builds it failed.
    """
    baked = bake(release)
    declared = release.config.export.embeddings.index
    with tempfile.TemporaryDirectory(prefix="unified-ranker-index-") as folder:
        root = Path(folder)
        np.save(root / _VECTORS, baked.vectors)
        asked = {
            "extensions": release.config.project.extensions,
            "directory": str(release.manifest.extension_directory or ""),
            "index": declared.model_dump(mode="json"),
        }
        (root / _DECLARED).write_text(json.dumps(asked), encoding="utf-8")
        command = [sys.executable, "-m", "unified_ranker.serving.retrieval.rebuilding", folder]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
        if done.returncode:
            raise RebuildError(f"the index could not be built again: {done.stderr.strip()[-500:]}")
        return baked, load_index(root / _INDEX, baked.vectors)


def bake(release: OpenedRelease) -> OpenedRelease:
    """Return the release with its live changes as ordinary items, which the model does not know (`foreign`)."""
    live = release.live
    if live is None:
        return release
    kept = np.ones(len(release.item_ids), bool)
    kept[live.removed] = False
    foreign = release.foreign if release.foreign is not None else np.zeros(len(kept), bool)
    return replace(
        release,
        item_ids=np.concatenate([release.item_ids[kept], live.item_ids]),
        vectors=np.concatenate([release.vectors[kept], live.vectors]),
        titles=np.concatenate([release.titles[kept], live.titles]),
        created_at=np.concatenate([release.created_at[kept], live.created_at]),
        offers=release.offers.take(kept).followed_by(live.offers),
        foreign=np.concatenate([foreign[kept], np.ones(len(live), bool)]),
        live=None,
    )


def _main(folder: str) -> None:
    """Build the index that a directory declares."""
    os.nice(19)
    root = Path(folder)
    vectors = np.load(root / _VECTORS)
    asked = json.loads((root / _DECLARED).read_text(encoding="utf-8"))
    load_extensions(asked["extensions"], Path(asked["directory"]) if asked["directory"] else None)
    declared = Embeddings.model_validate({"index": asked["index"]}).index
    (root / _INDEX).mkdir()
    build_index(root / _INDEX, np.arange(len(vectors)).astype(str).astype(object), vectors, declared)


if __name__ == "__main__":
    _main(sys.argv[1])
