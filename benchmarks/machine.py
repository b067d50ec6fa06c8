"""The machine that a result was measured on, and what a command costs there."""

import datetime
import json
import os
import platform
import subprocess
import tempfile
import time
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
LIBRARIES = ("tensorflow", "scann", "apache-beam", "pyarrow", "numpy", "grpcio", "uvicorn", "lmdb")


@dataclass(frozen=True)
class Cost:
    """What a command took: seconds, and MiB of its largest process and of all of them together.

    Pages that processes share, such as memory-mapped files, are not counted: they can be dropped at any time.
    """

    seconds: float
    largest_process_mib: int
    together_mib: int
    output: str


def machine() -> dict[str, Any]:
    """Return the machine: processor, memory, load before the measurement, libraries, commit and day."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    head = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(head, cwd=Path(__file__).parent, capture_output=True, text=True, check=False).stdout
    return {
        "processor": next((line.split(":")[1].strip() for line in lines if "model name" in line), "unknown"),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "libraries": {name: metadata.version(name) for name in LIBRARIES},
        "load_before": os.getloadavg()[0],
        "commit": commit.strip(),
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
    }


def measure(*command: str) -> Cost:
    """Run a command to its end and watch its processes."""
    import psutil

    # A file, not a pipe, which would stop a command that says much.
    with tempfile.TemporaryFile("w+") as said:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT, text=True)
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
        said.seek(0)
        output = said.read()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{output[-3000:]}")
    return Cost(round(seconds, 1), largest >> 20, together >> 20, output)


def write_result(script: str, result: dict[str, Any]) -> None:
    """Write a script's result among `results/`, with the machine as it is now, and print it."""
    keep(Path(script).stem, result, machine())


def plain(cost: Cost) -> dict[str, Any]:
    """Return a cost without what the command printed."""
    return {name: value for name, value in asdict(cost).items() if name != "output"}


def keep(name: str, result: dict[str, Any], described: dict[str, Any]) -> None:
    """Write a result among `results/`, with the machine as it was before, and print it."""
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps({"machine": described, **result}, indent=2)
    (RESULTS / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    print(text)
