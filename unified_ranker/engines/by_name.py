"""Engines by name."""

import os
from dataclasses import dataclass
from typing import Literal, get_args

from unified_ranker.core.errors import UserError, unknown_name
from unified_ranker.engines.job import Engine

EngineName = Literal["auto", "beam", "dask", "in-process"]
SMALL_ROWS = 1_000_000
"""Rows up to which `auto` uses this process, because starting workers would take longer than the work."""


def choose_engine(
    name: str, rows: int, workers: int = 0, address: str | None = None, options: tuple[str, ...] = ()
) -> Engine:
    """Return the engine of a name; `auto` is Apache Beam, and this process for small logs.

    Args:
        name: one of `EngineName`.
        rows: of the job's input.
        workers: worker processes; 0: one for each core.
        address: dask only: a scheduler.
        options: Beam only: its pipeline options.

    Raises:
        UserError: there is no such engine, or an option belongs to another.
    """
    if name not in get_args(EngineName):
        raise unknown_name("engine", name, get_args(EngineName))
    if address and name != "dask":
        raise UserError(f"`--engine-address` is for `--engine dask`. Received: `--engine {name}`.")
    if options and name != "beam":
        raise UserError(f"`--beam-option` is for `--engine beam`. Received: `--engine {name}`.")
    workers = workers or os.cpu_count() or 1
    if name == "auto":
        name = "in-process" if rows <= SMALL_ROWS else "beam"
    if name == "beam":
        from unified_ranker.engines.beam import Beam

        # A small log is prepared before workers would have started.
        return Beam(workers if rows > SMALL_ROWS else 1, options)
    if name == "dask":
        from unified_ranker.engines.dask import Dask

        return Dask(workers, address)
    from unified_ranker.engines.in_process import InProcess

    return InProcess()


@dataclass(frozen=True)
class EngineChoice:
    """Choice of an engine and its settings; see `choose_engine`. `split_rows`: events that a shard reads, about."""

    name: str = "auto"
    workers: int = 0
    address: str | None = None
    options: tuple[str, ...] = ()
    split_rows: int = 1_000_000

    def why_unused(self) -> str:
        """Return a line for a run in which all was up to date and a named engine was not used; "" for `auto`."""
        if self.name == "auto":
            return ""
        return f"`--engine {self.name}` was not used: the output is up to date, and every engine makes the same bytes"

    def open(self, rows: int) -> Engine:
        """Return the engine for a log of `rows` rows."""
        return choose_engine(self.name, rows, self.workers, self.address, self.options)
