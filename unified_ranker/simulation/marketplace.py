"""Streaming of a simulated log to Parquet, slice of time by slice; only the truth stays in memory."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from unified_ranker.core.errors import UserError
from unified_ranker.core.files import whole_directory
from unified_ranker.core.progress import Progress
from unified_ranker.simulation.choices import Shelves, react
from unified_ranker.simulation.log_tables import EventTables, item_table, user_table
from unified_ranker.simulation.spec import MarketplaceSpec
from unified_ranker.simulation.visits import Visitors, draw_requests, draw_times
from unified_ranker.simulation.world import World

logger = logging.getLogger(__name__)

REQUESTS_AT_ONCE = 8_192
"""Requests that are drawn together: one row group, and the most of the log that is in memory."""
PILOT_REQUESTS = 4_096
ROWS_OF_FILE = 2_000_000
"""Approximate number of events in one file."""
_ROWS_AT_ONCE = 100_000
"""Items or users that are written together."""


@dataclass(frozen=True)
class Written:
    """Result of a simulation: the directory, and the rows of each table."""

    directory: Path
    items: int
    users: int
    events: int


class Marketplace:
    """Draws the events of a world in slices of time, each from a seed of its own."""

    def __init__(self, world: World) -> None:
        """Prepare to draw. A pilot measures the number of events per request."""
        self.world = world
        self._shelves, self._visitors, self._tables = Shelves(world), Visitors(world), EventTables(world)
        pilot = self._slice(0, 1, PILOT_REQUESTS, 0, seed=5)
        self.requests = max(1, round(world.spec.events * PILOT_REQUESTS / max(len(pilot), 1)))

    def slices(self) -> Iterator[pa.Table]:
        """Yield the events, slice by slice. Slices are in order of time, but clicks may pass their end."""
        parts = -(-self.requests // REQUESTS_AT_ONCE)
        counts = np.diff(np.linspace(0, self.requests, parts + 1).round().astype(int))
        first = 0
        for part, count in enumerate(counts.tolist()):
            yield self._slice(part, parts, count, first)
            first += count

    def _slice(self, part: int, parts: int, count: int, first: int, seed: int = 6) -> pa.Table:
        rng = np.random.default_rng([self.world.spec.seed, seed, part])
        time = draw_times(self.world, part, parts, count, rng)
        requests = draw_requests(self.world, self._shelves, self._visitors, time, rng)
        slate = self._shelves.draw(requests.segment, requests.time, self.world.spec.slate, rng)
        answers = react(self.world, requests.taste, requests.budget, slate, requests.source, rng)
        return self._tables.rows(requests, slate, answers, first, rng)


def simulate(
    spec: MarketplaceSpec,
    directory: Path,
    beside: Callable[[MarketplaceSpec, Path], None] = lambda spec, draft: None,
) -> Written:
    """Write a marketplace's log into `directory`: `events/`, `items/`, `users/` and the spec; all of it or nothing.

    Args:
        spec: the marketplace. The same spec gives the same bytes.
        directory: directory to write; must be empty or not exist.
        beside: writes further files, such as the project, into the same directory.

    Raises:
        UserError: `directory` is not empty, or cannot be written.
    """
    directory = Path(directory)
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise UserError(f"`{directory}` exists and is not empty. Nothing was overwritten. Name another directory.")
    world = World(spec)
    try:
        with whole_directory(directory) as draft:
            for name, table, rows in (("items", item_table, spec.items), ("users", user_table, spec.users)):
                parts = (table(world, i, min(i + _ROWS_AT_ONCE, rows)) for i in range(0, rows, _ROWS_AT_ONCE))
                _write(draft / name, parts)
            with Progress("simulate", spec.events, "events") as progress:
                events = _write(draft / "events", Marketplace(world).slices(), progress.advance)
            spec.save(draft)
            beside(spec, draft)
    except OSError as error:
        raise UserError(f"`{directory}` cannot be written: {error.strerror}. Nothing was left behind.") from error
    return Written(directory, spec.items, spec.users, events)


def _write(directory: Path, tables: Iterator[pa.Table], written: Callable[[int], None] = lambda rows: None) -> int:
    """Write tables as the row groups of Parquet files of about `ROWS_OF_FILE` rows; returns the number of rows."""
    directory.mkdir()
    writer, number, total, room = None, 0, 0, 0
    try:
        for table in tables:
            if writer is None or room <= 0:
                if writer is not None:
                    writer.close()
                file = directory / f"part-{number:05d}.parquet"
                # With checksums, because a damaged page would otherwise be read as other numbers.
                writer = pq.ParquetWriter(
                    file, table.schema, compression="zstd", compression_level=1, write_page_checksum=True
                )
                number, room = number + 1, ROWS_OF_FILE
            writer.write_table(table, row_group_size=max(len(table), 1))
            written(len(table))
            room -= len(table)
            total += len(table)
    finally:
        if writer is not None:
            writer.close()
    return total
