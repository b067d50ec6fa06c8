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
from unified_ranker.release.layout import MANIFEST, new_release, read_manifest, write_manifest
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
            {
                "project": config.project.name,
                "model_name": MODEL_NAME,
                "version": version,
                "versions": {"model": version, "vectors": version, "index": version},
                "build_key": pipeline.export_key,
                "config": config.to_json(),
                "config_hash": config.digest(),
                "tasks_trained": list(pipeline.tasks or config.tasks),
                "data": {"checksum": pipeline.data_key, "window": _window(pipeline)},
                "rows": pipeline.stamp("prepare")["rows"],
                "vector_width": config.query_dim,
                "quality": list(config.towers.item.quality),
                "heads": list(config.heads),
                "signatures": [*SIGNATURES, *((EMBED, ENCODE) if trained.model.text.costly else ())],
                "warmup_requests": warmup,
                "index": index,
                "metrics": metrics_of(read_evaluation(workspace.stage("evaluate"))),
                "parent": _parent(workspace.releases, version),
            },
        )
    return workspace.releases / str(version)


def _window(pipeline: "Pipeline") -> dict[str, int]:
    """Return the data window in seconds: first event, end of the fit window (exclusive), last event of the log."""
    times = pipeline.prepared.events.timestamp
    return {"start": int(times.min()), "fit_end": pipeline.trained.fit_end, "end": int(times.max())}


def _parent(releases: Path, version: int) -> dict | None:
    earlier = [int(p.name) for p in releases.iterdir() if p.name.isdigit() and int(p.name) < version]
    if not earlier:
        return None
    parent = releases / str(max(earlier))
    return {"version": read_manifest(parent)["version"], "manifest_sha256": sha256(parent / MANIFEST)}
