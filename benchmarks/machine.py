"""What a result was measured on, and where it is kept."""

import datetime
import json
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
LIBRARIES = ("tensorflow", "scann", "numpy", "grpcio", "uvicorn", "lmdb")


def machine() -> dict[str, Any]:
    """Describe this machine."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    cpu = next((line.split(":")[1].strip() for line in lines if "model name" in line), "unknown")
    head = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(head, cwd=Path(__file__).parent, capture_output=True, text=True, check=False).stdout
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "memory_gib": round(memory / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "libraries": {name: metadata.version(name) for name in LIBRARIES},
        "load_before": os.getloadavg()[0],
        "commit": commit.strip(),
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
    }


def keep(name: str, result: dict[str, Any], described: dict[str, Any]) -> None:
    """Write a result with its machine, and print it."""
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps({"machine": described, **result}, indent=2)
    (RESULTS / f"{name}.json").write_text(text + "\n")
    print(text)
