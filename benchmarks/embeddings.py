"""Vectors for other teams: export against the bare model, how fresh `refresh` keeps them, and drift between trainings.

    python benchmarks/embeddings.py --only export    # a minute and a half; results/embeddings_export.json
    python benchmarks/embeddings.py --only fresh     # a minute; results/embeddings_fresh.json
    python benchmarks/embeddings.py --only drift     # results/embeddings_drift.json; needs MovieLens 100K

`export` and `fresh` use the repository's own declarations over synthetic items (synthetic_release.py); the model is
untrained, and costs what a trained one costs. `drift` trains MovieLens 100K twice, with two seeds.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
from machine import keep, machine
from synthetic_release import USERS, make_project

from unified_ranker.engines.by_name import EngineChoice
from unified_ranker.engines.shards import DiskShards, read_parts, write_parts
from unified_ranker.project.release_project import ReleaseProject, open_project
from unified_ranker.store import open_store
from unified_ranker.vectors.embedded_release import PreparedFiles
from unified_ranker.vectors.embedding_source import ITEM_ROWS, USER_ROWS, EmbeddingSource, open_source
from unified_ranker.vectors.embedding_stages import UserHistories
from unified_ranker.vectors.export_job import embedding_job
from unified_ranker.vectors.saved_towers import load_towers
from unified_ranker.vectors.vector_export import ExportOptions, export_embeddings

ROOT = Path(__file__).resolve().parents[1]
AS_OF = 1_767_225_600
ITEMS = 300_000
FORCED = ("duplicate_vectors",)
"""Synthetic items have few words, and many have the same."""


class Prepared(ReleaseProject):
    """The synthetic project: its data were never tables, so that there is nothing to prepare them from."""

    def prepared(self) -> PreparedFiles:
        """Return the prepared data as they are."""
        return self.as_prepared()


def synthetic(directory: Path, items: int) -> Prepared:
    """Make the synthetic project, with its declarations as files."""
    release = make_project(directory, items)
    tree = json.loads((release / "manifest.json").read_text())["config"]
    for section in ("towers", "tasks", "export"):
        for name, part in tree[section].items():
            file = directory / section / f"{name}.yaml"
            file.parent.mkdir(exist_ok=True)
            file.write_text(json.dumps(part))
    return Prepared(**vars(open_project(release, directory)))


def more_users(prepared: Path, times: int) -> None:
    """Make the synthetic project's few users many: each `times` over, with what they did."""
    users, file = read_parts(prepared / "users.arrow"), prepared / "histories" / "00000.arrow"
    histories, count = read_parts(file).combine_chunks(), len(users)
    if count > USERS:
        return
    names = np.array([f"{name}-{n}" if n else name for n in range(times) for name in users["user_id"].to_pylist()])
    repeated = pa.concat_tables([users] * times).set_column(
        users.column_names.index("user_id"), users.schema.field("user_id"), pa.array(names, users["user_id"].type)
    )
    place, own = histories.column_names.index("user"), histories["user"].to_numpy()
    kind = histories.schema.field("user")
    parts = [histories.set_column(place, kind, pa.array(own + n * count, kind.type)) for n in range(times)]
    for target, table in ((prepared / "users.arrow", repeated), (file, pa.concat_tables(parts))):
        draft = target.with_suffix(".draft")
        write_parts(draft, [table])
        draft.replace(target)


def bare(source: EmbeddingSource, release: Path) -> dict[str, float]:
    """Run the model alone in a loop: its inputs are made beforehand, and what comes out is dropped."""
    from unified_ranker.export.embedding import item_batches
    from unified_ranker.prepare.prepared import to_frame

    towers, out = load_towers(release), {}
    rows = to_frame(source.prepared.items().slice(0, ITEM_ROWS))
    batches = list(item_batches(rows, source.config))
    users = source.prepared.users()["user_id"].slice(0, USER_ROWS)
    ids, histories = users.to_numpy().astype(object), UserHistories(source, 0, min(USER_ROWS, source.users))
    order, size = np.argsort(histories.length, kind="stable"), source.config.export.embeddings.users.batch_size
    asked = [histories.requests(ids, p) for p in np.array_split(order, -(-len(ids) // size))]
    for name, call, parts, count in (
        ("items", towers.items, batches, len(rows)),
        ("users", towers.requests, asked, len(ids)),
    ):
        for part in parts[:3]:
            call(part)
        started = time.perf_counter()
        for part in parts:
            call(part)
        out[f"{name}_per_s"] = count / (time.perf_counter() - started)
    return out


def stages(source: EmbeddingSource, folder: Path) -> dict[str, object]:
    """Run the export's stages by an engine, as the command does; returns rows a second, and memory shard by shard."""
    job, memory, out = embedding_job(source, "benchmark"), [], {}
    for stage, rows in (("items", source.items), ("users", source.users)):
        shutil.rmtree(folder, ignore_errors=True)
        alone = replace(job, stages=(job.stage(stage),))
        started = time.perf_counter()
        EngineChoice("beam", 1).open(rows).run(alone, DiskShards(folder))
        out[f"{stage}_per_s"] = rows / (time.perf_counter() - started)
        memory.append(psutil.Process().memory_info().rss >> 20)
    return out


def memory_by_shard(source: EmbeddingSource) -> list[int]:
    """Return MiB of this process after each shard of items."""
    stage, out = embedding_job(source, "benchmark").stage("items"), []
    for shard in range(stage.shards):
        stage.run(shard, None)
        out.append(psutil.Process().memory_info().rss >> 20)
    return out


def export(directory: Path, items: int) -> dict[str, object]:
    """Measure the bare model, the stages, and the whole command into LMDB, in one run and by turns."""
    project = synthetic(directory, items)
    more_users(project.as_prepared().directory, 20)
    source = open_source(project.embedded.directory, project.as_prepared().folder, project.embedded.config, AS_OF)
    runs = [(bare(source, project.embedded.directory), stages(source, directory / "shards")) for _ in range(2)]
    best = {
        name: {of: round(max(run[number][name] for run in runs)) for number, of in enumerate(("bare", "export"))}
        for name in ("items_per_s", "users_per_s")
    }
    whole, entries = command(project, directory, source)
    alone = items / best["items_per_s"]["bare"] + (source.users + entries["query"]) / best["users_per_s"]["bare"]
    return {
        "items": items,
        "users": source.users,
        **{name: {**rates, "share": round(rates["export"] / rates["bare"], 3)} for name, rates in best.items()},
        "whole_command": {
            "seconds": round(whole, 1),
            "bare_model_seconds": round(alone, 1),
            "share": round(alone / whole, 3),
            "entries": entries,
        },
        "memory_mib_after_each_shard_of_items": memory_by_shard(source),
    }


def command(project: Prepared, directory: Path, source: EmbeddingSource) -> tuple[float, dict[str, int]]:
    """Run the whole export, towers to published version and offline copy; returns seconds, and entries by kind."""
    for place in ("store", "vectors.delta"):
        shutil.rmtree(directory / place, ignore_errors=True)
    with open_store(directory / "store") as store:
        started = time.perf_counter()
        done = export_embeddings(
            project.export_input(), store, ExportOptions(AS_OF, EngineChoice("beam", 1), force=FORCED)
        )
        seconds = time.perf_counter() - started
    return seconds, {kind: of_kind.count for kind, of_kind in done.manifest.kinds.items()}


def fresh(directory: Path, items: int, trials: int = 25) -> dict[str, object]:
    """Measure from an event that the service has acknowledged to the vector that a reader in another process gets."""
    from unified_ranker.core.event import Event
    from unified_ranker.events.lmdb_histories import LmdbStore

    project = synthetic(directory, items)
    log = directory / "service"
    shutil.rmtree(log, ignore_errors=True)
    if not (directory / "store" / "state.json").is_file():
        with open_store(directory / "store") as store:
            export_embeddings(
                project.export_input(), store, ExportOptions(AS_OF, EngineChoice("in-process"), force=FORCED)
            )
    histories = LmdbStore(log)
    command = [
        sys.executable,
        "-c",
        "from unified_ranker.cli import main; main()",
        "refresh",
        str(project.embedded.directory),
    ]
    arguments = ["--events", str(log), "--store", str(directory / "store"), "--json"]
    histories.append([Event("user-0", "item-1", "home_feed", "rating", int(time.time()), 5.0)])
    process = subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, text=True)
    try:
        process.stdout.readline()  # the first step: the towers are loaded
        with open_store(directory / "store") as store:
            users, new = [], []
            for trial in range(trials):
                name = f"user-{trial + 1}"
                before = store.get("user", name)
                event = Event(name, f"item-{trial}", "home_feed", "rating", int(time.time()), 5.0)
                histories.append([event])
                users.append(_wait(lambda n=name, b=before: store.get("user", n).time > b.time))
                item = f"new-{time.time_ns()}"
                histories.put_item(item, {"title": "star light", "categories": ["drama"], "year": 2024})
                new.append(_wait(lambda i=item: store.get("item", i) is not None))
    finally:
        process.terminate()
        process.wait()
        histories.close()
    return {
        "items": items,
        "poll_seconds": 0.5,
        "trials": trials,
        "user_s": _median_and_largest(users),
        "new_item_s": _median_and_largest(new),
    }


def _wait(there: object) -> float:
    started = time.perf_counter()
    while not there():
        time.sleep(0.002)
    return time.perf_counter() - started


def _median_and_largest(seconds: list[float]) -> dict[str, float]:
    return {"median": round(float(np.median(seconds)), 3), "largest": round(max(seconds), 3)}


def drift(directory: Path, epochs: int) -> dict[str, object]:
    """Train MovieLens 100K with two seeds, and export both into one store."""
    project = directory / "movielens"
    shutil.rmtree(project, ignore_errors=True)
    project.mkdir(parents=True)
    for name in ("project.yaml", "towers", "tasks", "export"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, project / name)
    command = [sys.executable, "-c", "from unified_ranker.cli import main; main()"]
    exports = []
    for seed in (1, 2):
        settings = [f"project.training.epochs={epochs}", f"project.training.seed={seed}"]
        settings += ["project.evaluation.requests_per_task=200", "project.evaluation.bootstrap_samples=100"]
        chosen = [word for setting in settings for word in ("--set", setting)]
        subprocess.run(
            [*command, "build", "--project", str(project), *chosen, "--json"], check=True, capture_output=True
        )
        export = ["export-embeddings", str(project / "releases" / str(seed)), "--json"]
        done = subprocess.run([*command, *export], check=True, capture_output=True, text=True)
        exports.append(json.loads(done.stdout))
    second = exports[1]
    with open_store(project / "vectors", second["version"]) as store:
        ids = [name for part, _ in store.backend.scan(second["version"], "item", 5000) for name in part]
        mapped = store.get_many("item", ids).vectors
        from unified_ranker.release.items import read_items

        names, raw = read_items(project / "releases" / "2" / "items")
        place = {name: row for row, name in enumerate(names)}
        made = raw[[place[name] for name in ids], : mapped.shape[1]]
    change = float(np.abs(mapped @ mapped.T - made @ made.T).max())
    recall = {seed: json.loads((project / "releases" / str(seed) / "manifest.json").read_text()) for seed in (1, 2)}
    assert recall[1]["config_hash"] != recall[2]["config_hash"]
    return {
        "data": "MovieLens 100K",
        "epochs": epochs,
        "seeds": [1, 2],
        "drift": second["drift"],
        "largest_change_of_a_dot_product_within_the_version": change,
    }


def main() -> None:
    """Measure one part and keep the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=("export", "fresh", "drift"), required=True)
    parser.add_argument("--items", type=int, default=ITEMS)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--directory", type=Path, default=Path("/tmp/unified_ranker_embeddings"))  # noqa: S108
    options = parser.parse_args()
    described = machine()
    run = {
        "export": lambda: export(options.directory, options.items),
        "fresh": lambda: fresh(options.directory, options.items),
        "drift": lambda: drift(options.directory, options.epochs),
    }
    keep(f"embeddings_{options.only}", run[options.only](), described)


if __name__ == "__main__":
    main()
