"""The command line: `unified-ranker …`.

Imports of what is heavy happen inside the commands, so that `--help` answers at once. Importing a module here registers
its commands, in the order in which `--help` lists them.
"""

from unified_ranker.cli import stages  # isort: split

from unified_ranker.cli import quality  # isort: split

from unified_ranker.cli import answers, service, simulation
from unified_ranker.cli.app import app

__all__ = ["answers", "app", "main", "quality", "service", "simulation", "stages"]


def main() -> None:
    """Run the command line."""
    app()
