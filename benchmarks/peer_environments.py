"""Environments of the other libraries: each has its own, with the versions that `peer_libraries/*.txt` pin."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

LIBRARIES = Path(__file__).parent / "peer_libraries"
ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Peer:
    """A model of another library.

    Attributes:
        name: in the table.
        library: its environment, and its requirements in `peer_libraries/<library>.txt`.
        model: as `peer_libraries/<library>_models.py` knows it.
    """

    name: str
    library: str
    model: str

    def train(self, environments: Path, folder: Path, threads: int) -> None:
        """Train the model on what `folder` holds, in the library's environment, which is made if it is not there.

        Raises:
            SystemExit: the training failed.
        """
        script = LIBRARIES / f"{self.library}_models.py"
        # Our metrics are NumPy alone, so that every environment can import them.
        settings = {
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": str(threads),
            # implicit has threads of its own, and asks for a BLAS without any.
            "OPENBLAS_NUM_THREADS": "1" if self.library == "implicit" else str(threads),
        }
        command = [str(self._python(environments)), str(script), self.model, str(folder)]
        done = subprocess.run(command, cwd=folder, env=os.environ | settings, check=False)
        if done.returncode:
            raise SystemExit(f"{self.name} failed: {' '.join(command)}")

    def _python(self, environments: Path) -> Path:
        """Return the interpreter of the environment; installs the pinned versions where they are not in it."""
        there, pins = environments / self.library, LIBRARIES / f"{self.library}.txt"
        python, installed = there / "bin" / "python", there / "installed.txt"
        if not installed.is_file() or installed.read_text(encoding="utf-8") != pins.read_text(encoding="utf-8"):
            print(f"{self.library}: installing into {there}", flush=True)
            subprocess.run([sys.executable, "-m", "venv", str(there)], check=True)
            subprocess.run([str(python), "-m", "pip", "install", "--quiet", "-r", str(pins)], check=True)
            installed.write_text(pins.read_text(encoding="utf-8"), encoding="utf-8")
        return python


OURS = Peer("unified_ranker", "", "")
"""Our own model, which is trained by its own command."""
PEERS = (
    Peer("RecBole SASRec", "recbole", "sasrec"),
    Peer("RecBole LightGCN", "recbole", "lightgcn"),
    Peer("implicit ALS", "implicit", "als"),
    Peer("implicit BPR", "implicit", "bpr"),
    Peer("RecTools eSASRec", "rectools", "esasrec"),
)
