"""Walks the chain of a release and names its first broken link.

The links are: manifest, extensions and counts where there are any, configuration, files, vectors, model, index, report,
parent.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from unified_ranker.config import digest_of
from unified_ranker.core.digests import sha256
from unified_ranker.core.errors import UserError
from unified_ranker.core.files import numbered_entries
from unified_ranker.evaluation.report_names import REPORT_JSON, REPORT_PAGE
from unified_ranker.release.counts import CountsDescription, StoredCounts
from unified_ranker.release.index import IDS, IndexDescription
from unified_ranker.release.items import read_catalogue, read_items
from unified_ranker.release.layout import RELEASE_MANIFEST, Layout
from unified_ranker.release.links import Link, require_same, walk_links
from unified_ranker.release.manifest import Manifest, read_manifest


def verify_release(release: Path) -> list[str]:
    """Check a release; returns one line for each link that holds, in order.

    Raises:
        BrokenLinkError: naming the first link that does not hold, and why.
    """
    return walk_links(release, _links(release))


def _links(release: Path) -> Iterator[Link]:
    layout = Layout(release)
    yield "manifest", lambda: _manifest(release.resolve(), read_manifest(release))
    # Readable, because the link before has read it.
    manifest = read_manifest(release)
    if manifest.extension_names:
        yield "extensions", lambda: _extensions(manifest)
    yield "configuration", lambda: _configuration(manifest)
    yield "files", lambda: _files(layout, manifest)
    yield "vectors", lambda: _vectors(layout, manifest)
    yield "model", lambda: _model(layout, manifest)
    yield "index", lambda: _index(layout, manifest)
    if manifest.counts is not None:
        counts = manifest.counts
        yield "counts", lambda: _counts(layout, manifest, counts)
    yield "report", lambda: _report(layout, manifest)
    yield "parent", lambda: _parent(release, manifest)


def _manifest(directory: Path, manifest: Manifest) -> str:
    beside = numbered_entries(directory.parent)
    if directory in beside.values() and beside.get(manifest.version) != directory:
        raise UserError(
            f"the directory `{directory.name}` must hold release {directory.name}, because releases are chosen by the "
            f"names of their directories. Received: release {manifest.version}. Name the directory "
            f"`{manifest.version}`, or by anything but a number."
        )
    return f"format {manifest.format}, release {manifest.version}"


def _extensions(manifest: Manifest) -> str:
    carried = "none of them carried" if manifest.extension_directory is None else "their files are carried"
    return f"{', '.join(manifest.extension_names)}: {carried}"


def _configuration(manifest: Manifest) -> str:
    _ = manifest.config  # raises where it is none that can be read
    digest = digest_of(manifest.declarations)
    require_same("config hash", digest, manifest.config_hash)
    return digest


def _files(layout: Layout, manifest: Manifest) -> str:
    declared = manifest.files
    present = {str(f.relative_to(layout.root)) for f in layout.root.rglob("*") if f.is_file()} - {RELEASE_MANIFEST}
    missing, extra = sorted(set(declared) - present), sorted(present - set(declared))
    if missing or extra:
        raise UserError(f"files must be those of the manifest. Missing: {missing[:3]}; not in it: {extra[:3]}.")
    for name, digest in declared.items():
        if sha256(layout.root / name) != digest:
            raise UserError(f"`{name}` has changed since the release was written: its SHA-256 differs.")
    return f"{len(declared)} files, SHA-256 of each"


def _vectors(layout: Layout, manifest: Manifest) -> str:
    ids, vectors = read_items(layout.items)
    require_same("vector width", vectors.shape[1], manifest.vector_width)
    require_same("items", len(ids), manifest.rows["items"])
    require_same("version of the vectors", manifest.versions.vectors, manifest.version)
    if len(set(ids)) != len(ids):
        raise UserError("item ids must be unique among the vectors.")
    bad = ~np.isfinite(vectors).all(1) | ~vectors.any(1)
    if bad.any():
        raise UserError(f"vectors must be finite and not zero. Received: {int(bad.sum())} broken, e.g. {ids[bad][:3]}.")
    catalogue = read_catalogue(layout.catalogue)["item_id"].to_numpy(object)
    if list(catalogue) != list(ids):
        raise UserError("catalogue and vectors must list the same items in the same order.")
    return f"{len(ids)} items x {vectors.shape[1]}"


def _model(layout: Layout, manifest: Manifest) -> str:
    saved = layout.saved_model()
    require_same("version of the model", int(saved.name), manifest.version)
    require_same("version of the model", manifest.versions.model, manifest.version)
    if not (saved / "saved_model.pb").is_file():
        raise UserError(f"`{saved}` holds no saved_model.pb.")
    return f"model/{saved.name}, signatures {', '.join(manifest.signatures)}"


def _index(layout: Layout, manifest: Manifest) -> str:
    description = IndexDescription.read(layout.index)
    ids = json.loads((layout.index / IDS).read_text(encoding="utf-8"))
    items, _ = read_items(layout.items)
    require_same("version of the index", manifest.versions.index, manifest.version)
    require_same("width of the index", description.width, manifest.vector_width)
    require_same("items of the index", description.items, len(items))
    if ids != list(items):
        raise UserError("index and vectors must list the same items in the same order.")
    return f"{description.type}, {description.items} items"


def _counts(layout: Layout, manifest: Manifest, described: CountsDescription) -> str:
    stored = StoredCounts.read(layout.counts, described, manifest.config.towers.item.popularities)
    require_same("items that are counted", stored.before.shape[1], manifest.rows["items"])
    if len(stored.item) and not 0 <= stored.item.min() <= stored.item.max() < manifest.rows["items"]:
        raise UserError("counted events must be of the release's items.")
    if (np.diff(stored.time) < 0).any() or (stored.time > described.end).any():
        raise UserError("counted events must be in order of time, and end with the log.")
    return f"{len(stored.item)} events of {len(stored.features)} popularities"


def _report(layout: Layout, manifest: Manifest) -> str:
    report = json.loads((layout.root / REPORT_JSON).read_text(encoding="utf-8"))
    if not (layout.root / REPORT_PAGE).is_file():
        raise UserError(f"`{REPORT_PAGE}` is missing.")
    require_same("config hash of the report", report["config_digest"], manifest.config_hash)
    return f"{REPORT_JSON} and {REPORT_PAGE} of this configuration"


def _parent(release: Path, manifest: Manifest) -> str:
    parent = manifest.parent
    if parent is None:
        return "none: a first release"
    file = release.resolve().parent / str(parent.version) / RELEASE_MANIFEST
    if not file.is_file():
        return f"release {parent.version}, no longer kept"
    require_same("manifest of the parent", sha256(file), parent.manifest_sha256)
    return f"release {parent.version}, unchanged"
