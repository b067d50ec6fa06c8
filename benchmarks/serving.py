"""The ranking service over a million items, as its users meet it: start, memory, latency, capacity, overload, swap.

    python benchmarks/serving.py              # about ten minutes; results/serving.json
    python benchmarks/serving.py --only load --seconds 180

The release is made first, if it is not there (`synthetic_release.py`, about a minute). Service, model server and load
generator share the machine. Requests are Poisson arrivals; their time counts from when they were due.
"""

import argparse
import asyncio
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from load import Seen, offer
from machine import keep, machine
from synthetic_release import USERS, WORDS, clone_release, make_project

TASKS = ("search", "home_feed", "more_like_this")
EPOCH = 1_740_000_000
PARTS = ("start", "rank", "load", "capacity", "overload", "swap")


class Service:
    """A running service, its address and its processes."""

    def __init__(self, release: Path, store: str, *options: str) -> None:
        program = "from unified_ranker.cli import main; main()"
        command = [sys.executable, "-c", program, "serve", str(release), "--port", "0", "--store", store, *options]
        started = time.perf_counter()
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for line in self.process.stdout:
            if found := re.search(r"served at http://([\d.]+):(\d+) ", line):
                self.host, self.port = found[1], int(found[2])
                break
        self.ready_seconds = time.perf_counter() - started
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def children(self) -> list[int]:
        """Return the model servers' process ids."""
        tasks = Path(f"/proc/{self.process.pid}/task").iterdir()
        return [int(child) for task in tasks for child in (task / "children").read_text().split()]

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Post JSON and return the answer."""
        url = f"http://{self.host}:{self.port}{path}"
        request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=300) as answer:
            return json.load(answer)

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(60)


@contextlib.contextmanager
def serving(release: Path, *options: str) -> Iterator[Service]:
    """Start a service with a store of its own."""
    with tempfile.TemporaryDirectory() as store:
        service = Service(release, store, *options)
        try:
            yield service
        finally:
            service.stop()


def request_of(items: int) -> Any:
    """Return what makes the n-th request of a mixed load."""
    rng = np.random.default_rng(3)

    def body(number: int) -> dict[str, Any]:
        task = TASKS[number % 3]
        asked: dict[str, Any] = {"user_id": f"user-{rng.integers(USERS)}", "task": task, "limit": 20}
        if task == "search":
            asked["query"] = " ".join(rng.choice(WORDS, 2))
        elif task == "more_like_this":
            asked["source_item_id"] = f"item-{rng.integers(items)}"
        return asked

    return body


def rss_mib(pid: int) -> int:
    """Return the resident memory of a process."""
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) // 1024


def run(service: Service, rate: float, seconds: float, items: int) -> Seen:
    """Offer a load."""
    return asyncio.run(offer(service.host, service.port, rate, seconds, request_of(items)))


def processor(pid: int) -> float:
    """Return the processor seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure_rank(release: Path) -> dict[str, float]:
    """Rank 500 candidates over gRPC, one call at a time: in the model server, with the way to it and back."""
    from unified_ranker.core.request import History, Request, state_arrays, to_arrays
    from unified_ranker.model_server.process import begin_in_subprocess, finish_start
    from unified_ranker.serving.answering.opened_release import OpenedRelease
    from unified_ranker.serving.client.grpc_client import ModelClient

    opened, rng = OpenedRelease.open(release), np.random.default_rng(5)
    child = begin_in_subprocess(release)
    finish_start(child)
    with child, ModelClient(child.grpc_address) as client:
        spent: dict[str, list[float]] = {"encode": [], "rank": []}
        for _ in range(300):
            events = [
                {
                    "item_id": item,
                    "event_type": "rating",
                    "task": "home_feed",
                    "timestamp": 1_740_000_000 + n,
                    "value": 4,
                }
                for n, item in enumerate(rng.choice(opened.item_ids, 50))
            ]
            asked = to_arrays([Request("user-1", "search", query="starlight", history=History.of(events))], 100)
            started = time.perf_counter()
            encoded = client.predict("encode", asked)
            middle = time.perf_counter()
            candidates = rng.choice(opened.item_ids, 500)[None]
            asking = time.perf_counter()
            client.predict("rank_encoded", {**state_arrays(encoded), "candidate_ids": candidates})
            spent["encode"].append(1000 * (middle - started))
            spent["rank"].append(1000 * (time.perf_counter() - asking))
    return {f"{n}_p{p}_ms": round(float(np.percentile(v[20:], p)), 2) for n, v in spent.items() for p in (50, 99)}


def measure_capacity(service: Service, items: int) -> dict[str, Any]:
    """Raise the rate until p99 passes 50 ms or a request fails; says who used the processors then."""
    steps, best = [], 0.0
    for rate in (40, 60, 80, 100, 120, 140, 160, 180, 200):
        pids = {"service": service.process.pid, "model_server": service.children()[0], "load": os.getpid()}
        before = {name: processor(pid) for name, pid in pids.items()}
        seen = run(service, rate, 12, items).summary()
        used = {name: round((processor(pid) - before[name]) / 12, 2) for name, pid in pids.items()}
        steps.append({"rate": rate, **seen["ms"], "statuses": seen["statuses"], "cores_used": used})
        if seen["ms"]["p99"] > 50 or seen["statuses"].keys() - {"200"}:
            break
        best = rate
    return {"capacity_per_second": best, "steps": steps}


def measure_overload(service: Service, rate: float, items: int, seconds: float) -> dict[str, Any]:
    """Offer twice the capacity, then an ordinary load, and see when that is answered as before."""
    during = run(service, 2 * rate, seconds, items).summary()
    after = run(service, 20, 15, items)
    due, times, status = np.array(after.due), np.array(after.milliseconds), np.array(after.status)
    bad = due[(times > 50) | (status != 200)]
    return {
        "offered_per_second": 2 * rate,
        "during": during,
        "seconds_to_recover": round(float(bad.max()), 1) if len(bad) else 0.0,
        "after": after.summary(),
    }


def measure_swap(service: Service, items: int) -> dict[str, Any]:
    """Swap the release while 40 requests a second are answered."""
    done: dict[str, Any] = {}

    def swap() -> None:
        time.sleep(5)
        done.update(service.post("/v1/admin/reload", {"release": 2}))

    swapping = threading.Thread(target=swap)
    swapping.start()
    seen = run(service, 40, 45, items)
    swapping.join()
    return {"swap": done, "during": seen.summary()}


def main() -> None:
    """Measure the parts that are asked for, and keep the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--directory", type=Path, default=Path(tempfile.gettempdir()) / "unified_ranker_benchmark")
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--only", choices=PARTS, action="append")
    parser.add_argument("--seconds", type=float, default=180, help="of the load at 40 requests a second")
    parser.add_argument("--overload-seconds", type=float, default=60)
    options = parser.parse_args()
    wanted, items, described = options.only or PARTS, options.items, machine()
    release = make_project(options.directory, items)
    clone_release(release, 2)
    result: dict[str, Any] = {"items": items}
    if "rank" in wanted:
        result["rank_500_candidates"] = measure_rank(release)
    with serving(release) as service:
        result["start_to_ready_seconds"] = round(service.ready_seconds, 1)
        run(service, 40, 5, items)  # warm
        if "load" in wanted:
            result["load_40_per_second"] = {
                "seconds": options.seconds,
                **run(service, 40, options.seconds, items).summary(),
            }
        result["resident_mib"] = {
            "service": rss_mib(service.process.pid),
            "model_server": rss_mib(service.children()[0]),
        }
        if "capacity" in wanted or "overload" in wanted:
            result["capacity"] = measure_capacity(service, items)
        if "overload" in wanted:
            rate = max(result["capacity"]["capacity_per_second"], 40)
            result["overload"] = measure_overload(service, rate, items, options.overload_seconds)
        if "swap" in wanted:
            result["swap_at_40_per_second"] = measure_swap(service, items)
            time.sleep(5)
            result["resident_mib_after_swap"] = {"service": rss_mib(service.process.pid)}
    name = "serving" if items == 1_000_000 else f"serving_{items}"
    keep(name if not options.only else f"{name}_{'_'.join(wanted)}", result, described)


if __name__ == "__main__":
    main()
