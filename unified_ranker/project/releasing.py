"""Turns a trained and evaluated project into a release."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from unified_ranker.core.digests import sha256
from unified_ranker.export.embedding import embed_catalogue
from unified_ranker.export.index_recall import measure_index
from unified_ranker.export.savedmodel import known_requests, load_served, save_model, write_warmup
from unified_ranker.export.signatures import SIGNATURES
from unified_ranker.project.reporting import metrics_of, read_evaluation, write_project_report
from unified_ranker.release.index import build_index
from unified_ranker.release.items import write_catalogue, write_items
from unified_ranker.release.layout import MANIFEST, new_release, release_numbers
from unified_ranker.release.manifest import (
    DataWindow,
    Manifest,
    Parent,
    PartVersions,
    ReleaseData,
    read_manifest,
    write_manifest,
)
from unified_ranker.release.query_names import EMBED, ENCODE
from unified_ranker.training.continuing import write_start

if TYPE_CHECKING:
    from unified_ranker.project.stages import Pipeline

logger = logging.getLogger(__name__)

MODEL_NAME = "unified_ranker"


def export_release(pipeline: "Pipeline") -> Path:
    """Write the next release of a pipeline's project; a reader sees all of it or none.

    Raises:
        UserError: when an item vector is not finite or zero.
    """
    pipeline.evaluate()
    trained, prepared, config = pipeline.trained, pipeline.prepared, pipeline.config
    workspace = pipeline.workspace
    with new_release(workspace.releases) as (layout, version):
        saved = layout.model_base / str(version)
        save_model(trained.model, trained.model.item_vectors().numpy(), saved)
        requests = known_requests(prepared.between(None, trained.fit_end))
        # What follows asks the files, not the model in memory: a release is measured as it will be served.
        served = load_served(saved)
        warmup = write_warmup(saved, served, prepared, requests, config, MODEL_NAME)
        vectors = embed_catalogue(served, prepared, config)
        write_items(layout.items, prepared.item_ids, vectors)
        write_catalogue(layout.catalogue, prepared)
        index = build_index(layout.index, prepared.item_ids, vectors, config.export.embeddings.index)
        write_start(layout.root, trained, prepared)
        late = prepared.between(prepared.split.validation_end, None)
        measured = measure_index(served, late, prepared, vectors, config, layout.index)
        write_project_report(pipeline, layout.root, str(version), measured)
        write_manifest(
            layout,
            Manifest(
                project=config.project.name,
                model_name=MODEL_NAME,
                version=version,
                versions=PartVersions(model=version, vectors=version, index=version),
                build_key=pipeline.export_key,
                declarations=config.to_json(),
                config_hash=config.digest(),
                tasks_trained=pipeline.tasks or tuple(config.tasks),
                data=ReleaseData(checksum=pipeline.data_key, window=_window(pipeline)),
                rows=pipeline.stamp("prepare")["rows"],
                vector_width=config.query_dim,
                quality=tuple(config.towers.item.quality),
                heads=config.heads,
                signatures=(*SIGNATURES, *((EMBED, ENCODE) if trained.model.text.costly else ())),
                warmup_requests=warmup,
                index=index,
                metrics=metrics_of(read_evaluation(workspace.stage("evaluate"))),
                parent=_parent(workspace.releases),
            ),
        )
    return workspace.releases / str(version)


def _window(pipeline: "Pipeline") -> DataWindow:
    times = pipeline.prepared.events.timestamp
    return DataWindow(start=int(times.min()), fit_end=pipeline.trained.fit_end, end=int(times.max()))


def _parent(releases: Path) -> Parent | None:
    """Return the newest of the releases that are there."""
    earlier = release_numbers(releases)
    if not earlier:
        return None
    parent = releases / str(earlier[-1])
    return Parent(version=read_manifest(parent).version, manifest_sha256=sha256(parent / MANIFEST))
