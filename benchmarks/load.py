"""Load on a running service: a plan of requests with due times, carried out by a program in Go (`native/load.go`).

A request leaves when it is due, whether or not earlier ones have been answered, and its time counts from when it was
due, so that a service which stalls cannot hide it by being asked less.
"""

import json
import os
import resource
import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from building import built

Arrivals = Literal["poisson", "constant"]
_BUILD = ("go", "build", "-o", "{target}", "{source}")


@dataclass
class Seen:
    """What a client saw: status, milliseconds from when it was due, seconds at which it was due, rung.

    `generator_seconds` is the processor time that the generator took.
    """

    status: list[int] = field(default_factory=list)
    milliseconds: list[float] = field(default_factory=list)
    due: list[float] = field(default_factory=list)
    rungs: Counter = field(default_factory=Counter)
    stages: dict[str, list[float]] = field(default_factory=dict)
    generator_seconds: float = 0.0

    def summary(self) -> dict[str, Any]:
        """Return counts and percentiles; those of time are of the answers with status 200."""
        status, times = np.array(self.status), np.array(self.milliseconds)
        good = times[status == 200] if len(status) else times
        out: dict[str, Any] = {
            "requests": len(status),
            "statuses": {str(k): v for k, v in Counter(self.status).items()},
        }
        out["rungs"] = dict(self.rungs)
        if len(good):
            out["ms"] = {f"p{p:g}": round(float(np.percentile(good, p)), 2) for p in (50, 90, 99, 99.9, 100)}
        if self.stages:
            out["stages_ms"] = {
                name: {f"p{p}": round(float(np.percentile(spent, p)), 2) for p in (50, 99)}
                for name, spent in self.stages.items()
            }
        return out


def due_times(rate: float, seconds: float, arrivals: Arrivals) -> np.ndarray:
    """Return the seconds at which requests are due: at equal distances, or Poisson arrivals (seeded)."""
    count = int(rate * seconds)
    if arrivals == "constant":
        return np.arange(count) / rate
    return np.cumsum(np.random.default_rng(1).exponential(1 / rate, count))


def offer(
    host: str,
    port: int,
    rate: float,
    seconds: float,
    body: Callable[[int], dict[str, Any]],
    arrivals: Arrivals = "poisson",
) -> Seen:
    """Offer `rate` requests a second for so many `seconds`; `body` makes the n-th."""
    plan = "".join(
        json.dumps({"due": round(float(due), 6), "body": body(number)}) + "\n"
        for number, due in enumerate(due_times(rate, seconds, arrivals))
    )
    command, before = [str(built("load.go", *_BUILD)), f"http://{host}:{port}/v1/recommend"], _children_seconds()
    # One processor and no garbage collection: it shares the machine with what it measures.
    lean = {**os.environ, "GOMAXPROCS": "1", "GOGC": "off"}
    done = subprocess.run(command, input=plan.encode(), capture_output=True, check=False, env=lean)
    if done.returncode:
        raise SystemExit(done.stderr.decode())
    seen = _read(done.stdout.splitlines())
    seen.generator_seconds = _children_seconds() - before
    return seen


def _read(lines: list[bytes]) -> Seen:
    seen = Seen()
    for answer in map(json.loads, lines):
        seen.status.append(answer["status"])
        seen.milliseconds.append(answer["ms"])
        seen.due.append(answer["due"])
        if answer["status"] == 200:
            seen.rungs[answer["body"]["degraded"] or "full"] += 1
            for name, spent in answer["body"]["timings_ms"].items():
                seen.stages.setdefault(name, []).append(spent)
    return seen


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
