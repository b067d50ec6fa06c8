"""The ranking service over a million items, as its users meet it: start, memory, latency, capacity, overload, swap.

    python benchmarks/serving.py              # about twenty minutes; results/serving.json
    python benchmarks/serving.py --only load --seconds 180

The release is made first, if it is not there (`synthetic_release.py`, about a minute). The service runs the model in
its own process, and the load generator (`load.py`, in Go) shares the machine. Load is offered at a constant rate and by
Poisson arrivals; a request's time counts from when it was due. The graph alone, by TensorFlow's C API, is the limit.
"""

import argparse
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
from asked import recorded_requests, request_of
from graph import REQUESTS, measure_graph
from load import Arrivals, Seen, offer
from machine import keep, machine
from synthetic_release import clone_release, make_project

PARTS = ("graph", "load", "capacity", "overload", "swap")
LOADS = (40, 100)
"""Requests a second of the part `load`."""
RATES = (60, 80, 100, 120, 140, 160, 180, 200, 220, 240)


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

    def pids(self) -> list[int]:
        """Return the process ids of the service and of what it started."""
        tasks = Path(f"/proc/{self.process.pid}/task").iterdir()
        children = [int(child) for task in tasks for child in (task / "children").read_text().split()]
        return [self.process.pid, *children]

    def resident_mib(self) -> int:
        """Return the resident memory of all of them."""
        sizes = [re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1] for pid in self.pids()]
        return sum(map(int, sizes)) // 1024

    def processor_seconds(self) -> float:
        """Return the processor time that they have used."""
        stats = [Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split() for pid in self.pids()]
        return sum(int(fields[11]) + int(fields[12]) for fields in stats) / os.sysconf("SC_CLK_TCK")

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


def run(service: Service, rate: float, seconds: float, items: int, arrivals: Arrivals = "poisson") -> Seen:
    """Offer a load."""
    return offer(service.host, service.port, rate, seconds, request_of(items), arrivals)


def measured(service: Service, rate: float, seconds: float, items: int, arrivals: Arrivals) -> dict[str, Any]:
    """Offer a load; returns what was seen, and the processor time of service and generator."""
    before = service.processor_seconds()
    seen = run(service, rate, seconds, items, arrivals)
    spent = service.processor_seconds() - before
    return {
        "seconds": seconds,
        **seen.summary(),
        "processor_ms_per_request": round(1e3 * spent / len(seen.status), 2),
        "generator_ms_per_request": round(1e3 * seen.generator_seconds / len(seen.status), 2),
    }


def measure_loads(service: Service, items: int, seconds: float) -> dict[str, Any]:
    """Offer loads of two rates, each at a constant rate and by Poisson arrivals."""
    return {
        f"{rate}_per_second_{arrivals}": measured(service, rate, seconds, items, arrivals)
        for rate in LOADS
        for arrivals in ("constant", "poisson")
    }


def measure_capacity(service: Service, items: int) -> dict[str, Any]:
    """Raise the rate until p99 passes 50 ms or a request fails."""
    steps, best = [], 0.0
    for rate in RATES:
        seen = measured(service, rate, 12, items, "poisson")
        steps.append({"rate": rate, **seen})
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


def measure_swap(service: Service, items: int, rate: float) -> dict[str, Any]:
    """Swap the release under load."""
    done: dict[str, Any] = {}

    def swap() -> None:
        time.sleep(5)
        done.update(service.post("/v1/admin/reload", {"release": 2}))

    swapping = threading.Thread(target=swap)
    swapping.start()
    seen = run(service, rate, 45, items)
    swapping.join()
    return {"rate": rate, "swap": done, "during": seen.summary()}


def main() -> None:
    """Measure the parts that are asked for, and keep the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--directory", type=Path, default=Path(tempfile.gettempdir()) / "unified_ranker_benchmark")
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--only", choices=PARTS, action="append")
    parser.add_argument("--seconds", type=float, default=180, help="of each load")
    parser.add_argument("--overload-seconds", type=float, default=60)
    parser.add_argument("--swap-rate", type=float, default=100, help="requests a second during the swap")
    options = parser.parse_args()
    wanted, items, described = options.only or PARTS, options.items, machine()
    release = make_project(options.directory, items)
    clone_release(release, 2)
    result: dict[str, Any] = {"items": items}
    if "graph" in wanted:
        result["graph"] = measure_graph(release, recorded_requests(options.directory, items, REQUESTS))
    with serving(release) as service:
        result["start_to_ready_seconds"] = round(service.ready_seconds, 1)
        run(service, 40, 5, items)  # warm
        if "load" in wanted:
            result["load"] = measure_loads(service, items, options.seconds)
        result["resident_mib"] = service.resident_mib()
        if "capacity" in wanted or "overload" in wanted:
            result["capacity"] = measure_capacity(service, items)
        if "overload" in wanted:
            rate = max(result["capacity"]["capacity_per_second"], RATES[0])
            result["overload"] = measure_overload(service, rate, items, options.overload_seconds)
        if "swap" in wanted:
            result["swap"] = measure_swap(service, items, options.swap_rate)
            time.sleep(5)
            result["resident_mib_after_swap"] = service.resident_mib()
    if "graph" in wanted and "load" in wanted:
        spent = result["load"]["100_per_second_poisson"]["processor_ms_per_request"]
        alone = result["graph"]["threads_1_pool"]["processor_ms_per_request"]
        result["service_to_graph"] = round(spent / alone, 2)
    name = "serving" if items == 1_000_000 else f"serving_{items}"
    keep(name if not options.only else f"{name}_{'_'.join(wanted)}", result, described)


if __name__ == "__main__":
    main()
