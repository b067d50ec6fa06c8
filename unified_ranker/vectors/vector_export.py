"""Export of vectors: embeds everything, writes a new version of the store, and publishes it if the guards pass.

Every step can be interrupted and run again: embedded shards are kept, the next run removes the remains of a killed
one, a version that a guard stopped can still be published by force, and a missing offline copy is made.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from unified_ranker.core.progress import Progress
from unified_ranker.engines.by_name import EngineChoice
from unified_ranker.engines.job import Job
from unified_ranker.engines.job_progress import run_job
from unified_ranker.engines.shards import DiskShards
from unified_ranker.store import EmbeddingStore, Limits
from unified_ranker.store.delta import offline_schema
from unified_ranker.store.guards import check_missing
from unified_ranker.store.records import unpack
from unified_ranker.store.version_manifest import VersionManifest, VersionNotes, require_version
from unified_ranker.vectors.embedded_release import EmbeddedRelease, ExportInput
from unified_ranker.vectors.embedding_source import EmbeddingSource, open_source
from unified_ranker.vectors.embedding_stages import VECTORS_STAGE, vectors_of_table
from unified_ranker.vectors.export_job import STAGES_BY_KIND, embedding_job
from unified_ranker.vectors.space_mapping import choose_space

_AT_ONCE = 20_000


@dataclass(frozen=True)
class ExportOptions:
    """Options of an export; see the command's help."""

    as_of: int
    engine: EngineChoice
    reference: str | None = None
    force: tuple[str, ...] = ()


@dataclass(frozen=True)
class Exported:
    """Result of an export.

    Attributes:
        version: of the store.
        skipped: nothing was done, because the same release, data and time are published already.
        manifest: of that version.
        offline: directory of the offline copy, None where there is none.
    """

    version: int
    skipped: bool
    manifest: VersionManifest
    offline: Path | None


def export_embeddings(given: ExportInput, store: EmbeddingStore, options: ExportOptions) -> Exported:
    """Embed all items, users and frequent queries, and publish them as the next version of the store.

    Raises:
        GuardError: a check stopped the publishing; the sealed version is kept.
        UserError: by a fault of the input or the machine. The published version is unchanged.
    """
    release, copy = given.release, given.copy
    source = open_source(release.directory, given.prepared.folder, release.config, options.as_of)
    job = embedding_job(source, given.prepared.key)
    limits = Limits(**release.config.export.embeddings.guards.model_dump())
    with store.writing():
        version, published = _finished(store, job.key)
        if version is None:
            shards = _embed(given.work, source, job, options.engine)
            version = _write(release, store, source, job, shards, limits, options.reference)
            shutil.rmtree(shards.root)
        if not published:
            store.publish(version, limits, options.force)
        if copy is not None and version not in copy.versions():
            notes = {"release": str(release.manifest.version), "as_of": str(options.as_of)}
            copy.write(version, offline_batches(store, version), notes)
    offline = None if copy is None else copy.directory
    return Exported(version, published, require_version(store.backend, version), offline)


def offline_batches(store: EmbeddingStore, version: int) -> Iterator[pa.RecordBatch]:
    """Yield all entries of a version as rows of the offline copy."""
    for kind, noted in require_version(store.backend, version).kinds.items():
        for ids, records in store.backend.scan(version, kind, _AT_ONCE):
            rows = unpack(records, noted.width)
            flat = pa.array(np.ascontiguousarray(rows["vector"]).reshape(-1))
            offsets = pa.array(np.arange(0, len(flat) + 1, noted.width, dtype=np.int32))
            columns = [
                pa.array([kind] * len(ids)),
                pa.array(ids, pa.string()),
                pa.ListArray.from_arrays(offsets, flat),
                pa.array(rows["time"] * 1_000_000, pa.timestamp("us", "UTC")),
                pa.array(rows["release"].astype(np.int64)),
                pa.array((rows["flags"] & 1) == 1),
                pa.array(np.full(len(ids), version, np.int64)),
            ]
            yield pa.RecordBatch.from_arrays(columns, schema=offline_schema())


def _finished(store: EmbeddingStore, key: str) -> tuple[int | None, bool]:
    """Return the version that already holds the job's output, if any, and whether it is the published one."""
    for noted in reversed(store.versions()):
        if noted.manifest.key == key and (noted.published or noted.manifest.published_at is None):
            return noted.number, noted.published
    return None, False


def _embed(folder: Path, source: EmbeddingSource, job: Job, engine: EngineChoice) -> DiskShards:
    """Make the shards that are not there yet."""
    shards = DiskShards(folder / job.key)
    for other in folder.glob("*"):
        if other != shards.root:
            shutil.rmtree(other)
    shards.resume(job)
    run_job(engine.open(source.items + source.users), job, shards, "embed")
    return shards


def _write(
    release: EmbeddedRelease,
    store: EmbeddingStore,
    source: EmbeddingSource,
    job: Job,
    shards: DiskShards,
    limits: Limits,
    reference: str | None,
) -> int:
    """Write the shards into a new version, mapped into the store's space, and seal it; returns its number."""
    width, number = release.config.towers.item.dim, release.manifest.version
    kinds = [kind for kind, stage in STAGES_BY_KIND.items() if any(stage == one.name for one in job.stages)]
    draft = store.begin(dict.fromkeys(kinds, width), limits)
    items = (table for table in _tables(job, shards, "item"))
    space = choose_space(store, draft.version, items, source.items, width, reference)
    with Progress("write", source.items + source.users + len(source.queries), "vectors") as progress:
        for kind in kinds:
            for table in _tables(job, shards, kind):
                vectors, cold = space.apply(vectors_of_table(table)), table["cold"].to_numpy()
                draft.put_many(kind, table["id"].to_pylist(), vectors, source.as_of, number, cold)
                progress.advance(len(table))
    keep = release.config.export.embeddings.store.keep
    draft.seal(VersionNotes(release=release.origin(), as_of=source.as_of, space=space, key=job.key, keep=keep))
    missing = [check_missing(store.backend, draft.version, kind, source.ids(kind), width) for kind in kinds]
    sealed = require_version(store.backend, draft.version)
    store.backend.note(draft.version, replace(sealed, checks=(*sealed.checks, *missing)).document())
    return draft.version


def _tables(job: Job, shards: DiskShards, kind: str) -> Iterator[pa.Table]:
    for number in range(job.stage(STAGES_BY_KIND[kind]).shards):
        yield shards.read(STAGES_BY_KIND[kind], number, VECTORS_STAGE)
