"""Job: named stages, each a pure function from Arrow tables to Arrow tables, cut into shards.

This is the whole contract between jobs and engines. A stage's function takes the number of its shard and a reader of
earlier stages' outputs, and returns named outputs, each a list of tables: its partitions, of which a later shard may
read one. It must return the same for the same input, so that a shard may be made twice, by any worker, and the first
complete result counts. Engines only decide where shards are made; all give the same bytes.
"""

import errno
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

from unified_ranker.core.errors import UserError

Outputs = Mapping[str, Sequence[pa.Table]]
"""Result of a shard: by name of the output, a table for each partition (most outputs have one)."""


class Reader(Protocol):
    """Reads the outputs of earlier stages."""

    def read(self, stage: str, shard: int, output: str, partition: int | None = None) -> pa.Table:
        """Return one partition of a shard's output, or all of them concatenated."""

    def gather(self, stage: str, output: str, partition: int | None = None) -> pa.Table:
        """Return an output of all shards of a stage, in the order of the shards."""


class Shards(Reader, Protocol):
    """Stores the outputs of shards. A shard is stored completely or not at all."""

    def has(self, stage: str, shard: int) -> bool:
        """Tell whether a shard is finished."""

    def write(self, stage: str, shard: int, outputs: Outputs, notes: Mapping[str, Any]) -> None:
        """Store a shard's outputs; does nothing when another worker was first."""


@dataclass(frozen=True)
class Stage:
    """One stage: `run(shard, reader)` for each of `shards` shards, once all shards of earlier stages are made."""

    name: str
    shards: int
    run: Callable[[int, Reader], Outputs]


@dataclass(frozen=True)
class Job:
    """Stages in order. `key` names the job's input and rules: the same key, the same bytes."""

    key: str
    stages: tuple[Stage, ...]

    def stage(self, name: str) -> Stage:
        """Return the stage of a name."""
        return next(stage for stage in self.stages if stage.name == name)


class Engine(Protocol):
    """Runs a job."""

    def run(self, job: Job, shards: Shards) -> None:
        """Make every shard that is not there yet.

        Raises:
            UserError: a shard failed, by a fault of its input or of the machine. Finished shards are kept.
        """


def make_shard(job: Job, stage: Stage, shard: int, shards: Shards) -> str:
    """Make one shard unless it is there; returns the error message, "" for success.

    Errors that a user can mend are returned as text, because not every engine passes exceptions on unchanged.
    """
    if shards.has(stage.name, shard):
        return ""
    started = time.perf_counter()
    try:
        outputs = stage.run(shard, shards)
        shards.write(stage.name, shard, outputs, {"seconds": round(time.perf_counter() - started, 3)})
    except UserError as error:
        return str(error)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.EIO, errno.EFBIG):
            raise
        return (
            f"shard {shard} of stage `{stage.name}` could not be written: {error}. Finished shards are kept; make room "
            "(or repair the disk) and run again, which continues from them."
        )
    return ""


def fail(problems: Sequence[str]) -> None:
    """Raise `UserError` with each different problem once; do nothing without one."""
    different = list(dict.fromkeys(p for p in problems if p))
    if different:
        raise UserError("\n".join(different))
