"""The machine that a result was measured on, and what a command costs there."""

import json
import os
import platform
import subprocess
import time
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil


@dataclass(frozen=True)
class Cost:
    """What a command took: seconds, and MiB of its largest process and of all of them together.

    Pages that processes share, such as memory-mapped files, are not counted: they can be dropped at any time.
    """

    seconds: float
    largest_process_mib: int
    together_mib: int
    output: str


def describe() -> dict[str, Any]:
    """Return the machine: cores, memory, processor, load before the measurement, libraries."""
    model = next(
        (r.split(":")[1].strip() for r in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in r), ""
    )
    return {
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "processor": model,
        "load_before": os.getloadavg()[0],
        "python": platform.python_version(),
        "libraries": {n: metadata.version(n) for n in ("apache-beam", "pyarrow", "numpy", "tensorflow")},
    }


def measure(*command: str) -> Cost:
    """Run a command to its end and watch its processes."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    watched, largest, together = psutil.Process(process.pid), 0, 0
    while process.poll() is None:
        sizes = []
        try:
            for one in [watched, *watched.children(recursive=True)]:
                memory = one.memory_info()
                sizes.append(memory.rss - memory.shared)
        except psutil.Error:
            continue
        largest, together = max([largest, *sizes]), max(together, sum(sizes))
        try:
            process.wait(timeout=0.1)
        except subprocess.TimeoutExpired:
            continue
    seconds = time.perf_counter() - started
    output = process.stdout.read() if process.stdout else ""
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{output[-3000:]}")
    return Cost(round(seconds, 1), largest >> 20, together >> 20, output)


def write_result(script: str, result: dict[str, Any]) -> None:
    """Write a result beside its script, with the machine."""
    file = Path(script).with_suffix(".json")
    file.write_text(json.dumps({"machine": describe(), **result}, indent=2) + "\n", encoding="utf-8")
    print(file.read_text(encoding="utf-8"))


def plain(cost: Cost) -> dict[str, Any]:
    """Return a cost without what the command printed."""
    return {name: value for name, value in asdict(cost).items() if name != "output"}
