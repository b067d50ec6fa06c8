"""Command line: `unified-ranker …`.

Each module holds the commands of one group and registers them on import. A command imports what it needs when it runs,
so that `--help` answers at once.
"""

import importlib

from unified_ranker.cli.app import app

__all__ = ["app", "main"]

GROUPS = (
    "init_command",
    "stage_commands",
    "compare_command",
    "tune_commands",
    "answer_commands",
    "embedding_commands",
    "service_commands",
    "event_commands",
    "simulation_commands",
    "store_commands",
)
"""Modules of commands, in the order of `--help`."""
for _group in GROUPS:
    importlib.import_module(f"{__name__}.{_group}")


def main() -> None:
    """Run the command line."""
    app()
