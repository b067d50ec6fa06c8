"""Programs in Go and C that the benchmarks build from `native/`, because Python would take part of what is measured."""

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

NATIVE = Path(__file__).parent / "native"


def built(source: str, *command: str) -> Path:
    """Return the program of a source file, which is built at its first use.

    Args:
        source: name of the file in `native/`.
        command: compiler and its arguments; `{source}` and `{target}` stand for the files.

    Raises:
        SystemExit: the compiler is not installed, or refuses the source.
    """
    file = NATIVE / source
    digest = hashlib.sha256("\0".join([file.read_text(), *command]).encode()).hexdigest()[:16]
    target = Path(tempfile.gettempdir()) / f"unified_ranker_{file.stem}_{digest}"
    if not target.exists():
        if shutil.which(command[0]) is None:
            raise SystemExit(f"`{command[0]}` must be installed to build benchmarks/native/{source}.")
        draft = target.with_suffix(".draft")
        filled = [part.format(source=file, target=draft) for part in command]
        done = subprocess.run(filled, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{' '.join(filled)} failed:\n{done.stderr}")
        draft.rename(target)
    return target
