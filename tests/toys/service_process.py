"""The service in processes of its own."""

import contextlib
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

PROGRAM = (sys.executable, "-c", "from unified_ranker.cli import main; main()")


@contextlib.contextmanager
def running(
    release: Path,
    *options: str,
    env: dict[str, str] | None = None,
    program: Sequence[str] = PROGRAM,
    cwd: Path | None = None,
) -> Iterator[tuple[subprocess.Popen, str]]:
    """`unified-ranker serve`, and its URL once it is ready."""
    command = [*program, "serve", str(release), "--port", "0"]
    if "--deadline-ms" not in options:
        command += ["--deadline-ms", "20000"]  # on a busy machine no answer degrades for want of time
    process = subprocess.Popen(
        [*command, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **(env or {})},
        cwd=cwd,
    )
    log: list[str] = []
    reader = threading.Thread(target=lambda: log.extend(process.stderr), daemon=True)
    reader.start()
    process.log = log
    try:
        lines = iter(process.stdout.readline, "")
        url = next((m[1] for line in lines if (m := re.search(r"served at (http://\S+:\d+) ", line))), None)
        assert url is not None, "".join(log)
        assert f"curl -s {url}/v1/recommend" in next(lines)
        yield process, url
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        reader.join()
        process.stdout.close()
        process.stderr.close()


def children(pid: int) -> list[int]:
    """The processes that a process has started and not yet reaped."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(child) for child in (task / "children").read_text().split()]
    return found


def is_running(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False
