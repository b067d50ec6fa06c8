"""Stage `export`: a release of the trained and evaluated project."""

import gc
import time
from pathlib import Path

from unified_ranker.core.digests import sha256
from unified_ranker.core.memory import give_back
from unified_ranker.core.progress import Progress
from unified_ranker.evaluation.overall_metrics import OverallMetrics
from unified_ranker.export.embedding import embed_catalogue
from unified_ranker.export.index_recall import measure_index
from unified_ranker.export.savedmodel import known_requests, load_served, save_model, write_warmup
from unified_ranker.prepare.prepared import Prepared
from unified_ranker.project.evaluate_stage import evaluate_stage, read_evaluation
from unified_ranker.project.one_build import one_build
from unified_ranker.project.prepare_stage import prepared_data
from unified_ranker.project.project_report import TrainingFacts, write_project_report
from unified_ranker.project.release_project import path_to_project
from unified_ranker.project.run_stage import keep_result
from unified_ranker.project.stage_cache import stamp_of
from unified_ranker.project.stage_context import StageContext, StageResult
from unified_ranker.project.train_stage import up_to_date_model
from unified_ranker.release.carried_extensions import write_extensions
from unified_ranker.release.counts import CountsDescription, StoredCounts
from unified_ranker.release.index import build_index
from unified_ranker.release.items import write_catalogue, write_items
from unified_ranker.release.layout import (
    RELEASE_MANIFEST,
    Layout,
    new_release,
    next_version,
    point_latest,
    release_numbers,
)
from unified_ranker.release.manifest import (
    DataWindow,
    Manifest,
    Parent,
    PartVersions,
    ReleaseData,
    read_manifest,
    write_manifest,
)
from unified_ranker.training.continuing import write_start
from unified_ranker.training.trained import TrainedModel

MODEL_NAME = "unified_ranker"


def export_stage(context: StageContext) -> StageResult:
    """Write a release, unless the newest one is of these declarations and this data."""
    started, releases = time.perf_counter(), context.workspace.releases
    current = newest_of(releases, context.keys.export)
    if current is not None and "export" not in context.force:
        # In case a build was stopped between writing the release and pointing at it.
        point_latest(releases, int(current.name))
        done = StageResult("export", True, 0.0, current, f"release {current.name} is up to date")
        return keep_result(context, done)
    with one_build(context, releases=True):
        release = _write_release(context)
    seconds = time.perf_counter() - started
    return keep_result(context, StageResult("export", False, seconds, release, f"release {release.name}"))


def newest_of(releases: Path, key: str) -> Path | None:
    """Return the newest release if it has the key.

    Older releases do not count: a return to earlier declarations makes a new release, whose parent is the one that it
    replaces. So `latest` is always the one that was built last.
    """
    newest = releases / str(next_version(releases) - 1)
    return newest if newest.is_dir() and read_manifest(newest).build_key == key else None


def _write_release(context: StageContext) -> Path:
    """Write the next release of a project; a reader sees all of it or none.

    Raises:
        UserError: an item vector is not finite, or is zero.
    """
    evaluate_stage(context)
    config, workspace = context.config, context.workspace
    with new_release(workspace.releases) as (layout, version), Progress("export", 5, "parts") as progress:
        saved = layout.model_base / str(version)
        counts, trained = _write_model(context, layout, saved)
        progress.advance(note="model")
        prepared = prepared_data(context)
        requests = known_requests(prepared.between(None, trained.fit_end))
        # From here on the saved files are used and not the model in memory, so that the release is measured as served.
        served = load_served(saved)
        warmup = write_warmup(saved, served, prepared, requests, config, MODEL_NAME)
        progress.advance(note="warm-up requests")
        vectors = embed_catalogue(served, prepared, config)
        write_items(layout.items, prepared.item_ids, vectors)
        write_catalogue(layout.catalogue, prepared, [f.column for f in config.towers.item.features])
        progress.advance(note="item vectors")
        index = build_index(layout.index, prepared.item_ids, vectors, config.export.embeddings.index)
        progress.advance(note="index")
        late = prepared.between(prepared.split.validation_end, None)
        measured = measure_index(served, late, prepared, vectors, config, layout.index)
        progress.advance(note="recall of the index")
        write_project_report(context, layout.root, str(version), measured, trained)
        write_manifest(
            layout,
            Manifest(
                project=config.project.name,
                model_name=MODEL_NAME,
                version=version,
                versions=PartVersions(model=version, vectors=version, index=version),
                build_key=context.keys.export,
                declarations=config.to_json(),
                config_hash=config.digest(),
                extensions=write_extensions(layout.root, config.project.extensions, workspace.project),
                tasks_trained=context.tasks or tuple(config.tasks),
                data=ReleaseData(
                    checksum=context.keys.data,
                    window=_window(prepared, trained.fit_end),
                    event_types=tuple(sorted(set(prepared.events.event_type))),
                ),
                rows=stamp_of(workspace.stage("prepare"))["rows"],
                vector_width=config.query_dim,
                quality=tuple(config.towers.item.quality),
                heads=config.heads,
                signatures=tuple(sorted(served)),
                warmup_requests=warmup,
                index=index,
                counts=counts,
                metrics=OverallMetrics.of(read_evaluation(context)),
                blends=trained.blends,
                parent=_parent(workspace.releases),
                project_path=path_to_project(workspace.releases / str(version), workspace.project),
            ),
        )
    return workspace.releases / str(version)


def _write_model(context: StageContext, layout: Layout, saved: Path) -> tuple[CountsDescription | None, TrainingFacts]:
    """Write all that the trained model is needed for.

    Saving takes as much memory again as the model. So it is done without the prepared data, which are read again
    afterwards, and the model itself does not outlive it.
    """
    trained, prepared = up_to_date_model(context), prepared_data(context)
    counts, facts = _counts(trained, prepared, layout), TrainingFacts.of(trained)
    write_start(layout.root, trained, prepared)
    context.memory.trained = context.memory.prepared = None
    model = trained.model
    del trained, prepared
    _free()
    save_model(model, model.catalogue_vectors(), saved)
    del model
    _free()
    return counts, facts


def _free() -> None:
    """Return to the system what is no longer referred to; a model is held by cycles of references."""
    gc.collect()
    give_back()


def _counts(trained: TrainedModel, prepared: Prepared, layout: Layout) -> CountsDescription | None:
    if not trained.quality.scales:
        return None
    return StoredCounts.of(trained.quality, prepared.events, trained.fit_end).write(layout.counts)


def _window(prepared: Prepared, fit_end: int) -> DataWindow:
    times = prepared.events.timestamp
    return DataWindow(start=int(times.min()), fit_end=fit_end, end=int(times.max()))


def _parent(releases: Path) -> Parent | None:
    """Return the newest of the releases that are there."""
    earlier = release_numbers(releases)
    if not earlier:
        return None
    parent = releases / str(earlier[-1])
    return Parent(version=read_manifest(parent).version, manifest_sha256=sha256(parent / RELEASE_MANIFEST))
