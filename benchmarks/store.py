"""The store of vectors at a million items: loading, reads of both backends, neighbours, and writers that are killed.

    python benchmarks/store.py            # about four minutes; results/store.json

Vectors are 64-d, clustered and seeded. Redis is Debian's, started here, over loopback, with its append-only file on.
Each kill is SIGKILL at a random moment of a writer that publishes versions without end; nothing is lost when afterwards
every entry of the published version is there, is of that very version, and that is none older than was told.
"""

import argparse
import multiprocessing
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from machine import keep, machine
from synthetic_release import clustered

from unified_ranker.store import EmbeddingStore, Limits, open_store
from unified_ranker.store.alignment import VectorSpace
from unified_ranker.store.version_manifest import ReleaseOrigin, VersionNotes

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "toys"))
from redis_process import RedisProcess

WIDTH, PART, READS = 64, 50_000, 2000
SMALL, WIDE = 500, 8
ANYTHING = Limits(1, 1, 1, 1, 1)


def notes(version: int, width: int = WIDTH) -> VersionNotes:
    """Return what a version must note."""
    return VersionNotes(release=ReleaseOrigin(1, "benchmark"), as_of=1, space=VectorSpace(version, np.eye(width)))


def load(store: EmbeddingStore, items: int) -> dict[str, float]:
    """Write and publish a version of so many items."""
    vectors = clustered(items, WIDTH, 7)
    started = time.perf_counter()
    with store.writing():
        draft = store.begin({"item": WIDTH})
        for at in range(0, items, PART):
            part = vectors[at : at + PART]
            draft.put_many("item", [f"item-{n}" for n in range(at, at + len(part))], part, 1, 1)
        written = time.perf_counter() - started
        draft.seal(notes(draft.version))
        store.publish(draft.version)
    whole = time.perf_counter() - started
    return {"write_vectors_per_s": round(items / written), "write_and_publish_s": round(whole, 1)}


def percentiles(spent: list[float]) -> dict[str, float]:
    """Return percentiles of seconds, in milliseconds."""
    return {f"p{p}_ms": round(1000 * float(np.percentile(spent, p)), 3) for p in (50, 95, 99)}


def read(store: EmbeddingStore, items: int) -> dict[str, object]:
    """Time reads of random ids, one by one and 500 at once, and neighbours."""
    rng, out = np.random.default_rng(3), {}
    for count, reads in ((1, READS), (SMALL, READS)):
        asked = [[f"item-{n}" for n in rng.integers(0, items, count)] for _ in range(reads + 50)]
        spent = []
        for ids in asked:
            started = time.perf_counter()
            batch = store.get_many("item", ids)
            spent.append(time.perf_counter() - started)
            assert batch.found.all()
        out[f"get_{count}"] = percentiles(spent[50:])
    started = time.perf_counter()
    store.neighbours("item", "item-1", 10)
    out["first_neighbours_s"] = round(time.perf_counter() - started, 2)
    spent = []
    for number in range(30):
        started = time.perf_counter()
        store.neighbours("item", f"item-{number}", 10)
        spent.append(time.perf_counter() - started)
    out["neighbours"] = percentiles(spent)
    return out


def _read_for(place: str, items: int, reads: int, pipe: object) -> None:
    store, rng = open_store(place), np.random.default_rng()
    asked = [[f"item-{n}" for n in rng.integers(0, items, SMALL)] for _ in range(reads)]
    store.get_many("item", asked[0])
    pipe.send("ready")
    pipe.recv()
    started = time.perf_counter()
    for ids in asked:
        store.get_many("item", ids)
    pipe.send(time.perf_counter() - started)


def read_together(place: str, items: int, readers: int = 2, reads: int = 500) -> int:
    """Return vectors a second that several reader processes get, in parts of 500."""
    spawn, pipes = multiprocessing.get_context("spawn"), []
    for _ in range(readers):
        ours, theirs = spawn.Pipe()
        process = spawn.Process(target=_read_for, args=(place, items, reads, theirs))
        process.start()
        pipes.append((ours, process))
    for ours, _ in pipes:
        ours.recv()
    for ours, _ in pipes:
        ours.send("go")
    slowest = max(ours.recv() for ours, _ in pipes)
    for _, process in pipes:
        process.join()
    return round(readers * reads * SMALL / slowest)


def _publish_for_ever(place: str, pipe: object) -> None:
    store = open_store(place)
    ids = [f"item-{n}" for n in range(2000)]
    with store.writing():
        pipe.send("writing")
        while True:
            draft = store.begin({"item": WIDE})
            for at in range(0, len(ids), 250):
                part = np.full((250, WIDE), float(draft.version), np.float32)
                draft.put_many("item", ids[at : at + 250], part, 1, 1)
            draft.seal(notes(1, WIDE))
            store.publish(draft.version, ANYTHING, force=["duplicate_vectors"], keep=1)
            pipe.send(draft.version)


def kill(place: str, kills: int) -> dict[str, int]:
    """Kill writers at random moments; returns the kills, and after how many something was lost."""
    rng, spawn = random.Random(11), multiprocessing.get_context("spawn")  # noqa: S311
    lost, published, ids = 0, 0, None
    for _ in range(kills):
        ours, theirs = spawn.Pipe()
        process = spawn.Process(target=_publish_for_ever, args=(place, theirs))
        process.start()
        assert ours.recv() == "writing"
        last = ours.recv()
        process.join(rng.random() * 0.15)
        while ours.poll():
            last = ours.recv()
        process.kill()
        process.join()
        ids = ids or [f"item-{n}" for n in range(2000)]
        with open_store(place) as store:
            batch = store.get_many("item", ids)
            whole = batch.found.all() and (batch.vectors == batch.version).all() and batch.version >= last
        lost += not whole
        published = batch.version
    return {"kills": kills, "lost_something": lost, "versions_published": published}


def main() -> None:
    """Measure both backends and keep the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--kills", type=int, default=60)
    options = parser.parse_args()
    described, out = machine(), {}
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        redis = RedisProcess(folder, "--appendfsync", "everysec")
        try:
            for name, place in (("lmdb", f"{folder}/store"), ("redis", redis.url("b:"))):
                with open_store(place) as store:
                    result = load(store, options.items) | read(store, options.items)
                result["vectors_per_s_of_2_readers"] = read_together(place, options.items)
                crash = f"{folder}/crash" if name == "lmdb" else redis.url("crash:")
                result["killed_writers"] = kill(crash, options.kills)
                out[name] = result
            out["lmdb"]["bytes_on_disk"] = (Path(folder) / "store" / "1" / "data.mdb").stat().st_size
        finally:
            redis.kill()
            shutil.rmtree(f"{folder}/store", ignore_errors=True)
    keep("store", {"items": options.items, "width": WIDTH, **out}, described)


if __name__ == "__main__":
    main()
