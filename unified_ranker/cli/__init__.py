"""The command line: `unified-ranker …`.

Imports of what is heavy happen inside the commands, so that `--help` answers at once. Importing a module here registers
its commands, in the order in which `--help` lists them.
"""

from unified_ranker.cli import stages  # isort: split

from unified_ranker.cli import quality  # isort: split

from unified_ranker.cli import answers, embeddings, service, simulation, store
from unified_ranker.cli.app import app

__all__ = ["answers", "app", "embeddings", "main", "quality", "service", "simulation", "stages", "store"]


def main() -> None:
    """Run the command line."""
    app()
