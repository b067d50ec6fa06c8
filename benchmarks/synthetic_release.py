"""A release over a synthetic catalogue of a million items, for the serving benchmarks; no data set is needed.

The model is the one of the repository's own declarations (64-d, three tasks, 500 candidates), untrained: what it
answers means nothing, what it costs is what a trained one costs. Item vectors are clustered, as trained ones are; the
benchmark of retrieval draws its queries from the same clusters.

    python benchmarks/synthetic_release.py --items 1000000 /tmp/unified_ranker_benchmark
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import pandas as pd

START = pd.Timestamp("2025-01-01", tz="UTC")
COUNTRIES = ("US", "GB", "DE", "FR", "JP", "BR", "IN", "CA")
GENRES = ("action", "comedy", "drama", "horror", "romance", "science", "western", "war", "music", "crime")
WORDS = tuple(
    f"{a}{b}" for a in ("star", "moon", "sea", "iron", "red", "lost", "wild") for b in ("light", "man", "way")
)
USERS, EVENTS = 5_000, 200_000
CLUSTERS = 2_000


def clustered(count: int, dim: int, seed: int, centres_seed: int = 1) -> np.ndarray:
    """Draw unit vectors `[count, dim]` around `CLUSTERS` common centres, whose sizes follow a power law."""
    centres = np.random.default_rng(centres_seed).normal(size=(CLUSTERS, dim)).astype(np.float32)
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    rng = np.random.default_rng(seed)
    share = 1 / np.arange(1, CLUSTERS + 1) ** 0.7
    out = centres[rng.choice(CLUSTERS, count, p=share / share.sum())]
    out = out + rng.normal(size=(count, dim)).astype(np.float32) * np.float32(0.6 / np.sqrt(dim))
    return (out / np.linalg.norm(out, axis=1, keepdims=True)).astype(np.float32)


def log_of(items: int, seed: int) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Make events, items and users tables."""
    rng = np.random.default_rng(seed)
    number = np.arange(items)
    words = np.array(WORDS, object)
    catalogue = pd.DataFrame(
        {
            "item_id": np.char.add("item-", number.astype(str)).astype(object),
            "title": words[rng.integers(0, len(words), items)] + " " + words[rng.integers(0, len(words), items)],
            "created_at": START,
            "categories": [[g] for g in np.array(GENRES, object)[rng.integers(0, len(GENRES), items)]],
            "year": rng.integers(1950, 2025, items),
        }
    )
    users = pd.DataFrame({"user_id": [f"user-{n}" for n in range(USERS)]})
    users["country"] = np.array(COUNTRIES, object)[rng.integers(0, len(COUNTRIES), USERS)]
    users["age"] = rng.integers(16, 80, USERS)
    users["gender"], users["occupation"] = "x", "none"
    item = np.minimum((items * rng.random(EVENTS) ** 3).astype(int), items - 1)
    task = np.array(["search", "more_like_this", "home_feed"], object)[rng.integers(0, 3, EVENTS)]
    events = pd.DataFrame(
        {
            "user_id": users["user_id"].to_numpy(object)[rng.integers(0, USERS, EVENTS)],
            "item_id": catalogue["item_id"].to_numpy(object)[item],
            "task": task,
            "event_type": "rating",
            "timestamp": START + pd.to_timedelta(np.sort(rng.integers(0, 90 * 86400, EVENTS)), unit="s"),
            "query": np.where(task == "search", catalogue["title"].to_numpy(object)[item], None),
            "value": rng.integers(1, 6, EVENTS).astype(float),
        }
    )
    source = np.minimum((items * rng.random(EVENTS) ** 3).astype(int), items - 1)
    events["source_item_id"] = np.where(task == "more_like_this", catalogue["item_id"].to_numpy(object)[source], None)
    return events, catalogue, users


def make_project(directory: Path, items: int, seed: int = 7) -> Path:
    """Write a project with prepared data and one release into `directory`, unless it is there; return the release."""
    release = directory / "releases" / "1"
    if (release / "manifest.json").is_file():
        return release
    from unified_ranker.config import Config
    from unified_ranker.config.loading import load_config
    from unified_ranker.log.schema import normalise
    from unified_ranker.prepare.prepared import prepare
    from unified_ranker.project.stage_cache import fill
    from unified_ranker.project.workspace import Workspace

    own = Path(__file__).resolve().parents[1]
    tree = load_config(own).to_json()
    tree["project"] |= {
        "name": "benchmark",
        "data": {"type": "tables", "events": "events.parquet", "items": "items.parquet", "users": "users.parquet"},
    }
    for task in tree["tasks"].values():
        task["derived"] = False
        task["positives"] = [{"event_type": "rating", "min_value": 4, "head": "like"}]
        task["negatives"] = {"type": "sampled", "uniform": 64}
    config = Config.model_validate(tree)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "project.yaml").write_text(json.dumps(tree["project"]))
    prepared = prepare(normalise(*log_of(items, seed)), config)
    with fill(Workspace(directory, config).stage("prepare"), "benchmark") as (draft, notes):
        prepared.save(draft)
        notes["rows"] = {"items": items}
    return write_release(directory / "releases", prepared, config, seed)


def write_release(releases: Path, prepared: object, config: object, seed: int) -> Path:
    """Export an untrained model over clustered vectors as the next release."""
    from unified_ranker.export.savedmodel import load_served, save_model, write_warmup
    from unified_ranker.release.counts import StoredCounts
    from unified_ranker.release.index import build_index
    from unified_ranker.release.items import write_catalogue, write_items
    from unified_ranker.release.layout import new_release
    from unified_ranker.release.manifest import Manifest, PartVersions, write_manifest
    from unified_ranker.training.training_job import build_model, fit_end_of, make_batches, make_weights

    fit_end = fit_end_of(prepared, config)
    model, _, quality = build_model(prepared, config, fit_end)
    few = prepared.between(None, fit_end)
    make_weights(model, make_batches(prepared, few.take(np.arange(min(len(few), 20_000))), model))
    vectors = clustered(len(prepared.items), config.towers.item.dim, seed)
    with new_release(releases) as (layout, version):
        saved = layout.model_base / str(version)
        save_model(model, vectors, saved)
        served = load_served(saved)
        write_warmup(saved, served, prepared, prepared.between(None, fit_end), config, "unified_ranker")
        whole = np.concatenate([vectors, model.catalogue.quality.astype(np.float32)], 1)
        write_items(layout.items, prepared.item_ids, whole)
        write_catalogue(layout.catalogue, prepared)
        index = build_index(layout.index, prepared.item_ids, whole, config.export.embeddings.index)
        counts = StoredCounts.of(quality, prepared.events, fit_end).write(layout.counts)
        (layout.root / "report.json").write_text(json.dumps({"config_digest": config.digest()}))
        (layout.root / "report.html").write_text("<p>a benchmark has no report</p>")
        write_manifest(
            layout,
            Manifest(
                project=config.project.name,
                model_name="unified_ranker",
                version=version,
                versions=PartVersions(model=version, vectors=version, index=version),
                declarations=config.to_json(),
                config_hash=config.digest(),
                tasks_trained=tuple(config.tasks),
                rows={"items": len(prepared.items)},
                vector_width=config.query_dim,
                quality=tuple(config.towers.item.quality),
                heads=config.heads,
                signatures=tuple(sorted(served)),
                index=index,
                counts=counts,
                parent=None,
            ),
        )
    return releases / str(version)


def clone_release(release: Path, version: int) -> Path:
    """Make the same release under another number, out of links to its files; a service has then something to swap."""
    target = release.parent / str(version)
    if target.exists():
        return target
    manifest = json.loads((release / "manifest.json").read_text())
    for name in manifest["files"]:
        place = target / name.replace(f"model/{release.name}/", f"model/{version}/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.hardlink_to(release / name)
    old, new = f"model/{release.name}/", f"model/{version}/"
    manifest["files"] = {name.replace(old, new): digest for name, digest in manifest["files"].items()}
    manifest |= {"version": version, "versions": dict.fromkeys(("model", "vectors", "index"), version)}
    (target / "manifest.json").write_text(json.dumps(manifest, indent=2))
    return target


def main() -> None:
    """Make the project, and say where its release is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--items", type=int, default=1_000_000)
    options = parser.parse_args()
    started = time.perf_counter()
    release = make_project(options.directory, options.items)
    print(f"{release} after {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
