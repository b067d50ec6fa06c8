"""Progress of a job: counts the stored shards, which works for every engine."""

import threading

from unified_ranker.core.progress import Progress
from unified_ranker.engines.job import Engine, Job, Shards

COUNTED_EVERY = 1.0
"""Seconds between two counts."""


def run_job(engine: Engine, job: Job, shards: Shards, work: str) -> None:
    """Run a job, and report the number of finished shards as progress of `work`.

    Raises:
        UserError: a shard failed; finished shards are kept.
    """
    total, done = sum(stage.shards for stage in job.stages), _finished(job, shards)
    over = threading.Event()
    with Progress(work, total, "shards", done) as progress:

        def count() -> None:
            while not over.wait(COUNTED_EVERY):
                progress.advance(_finished(job, shards) - progress.done)

        counter = threading.Thread(target=count, daemon=True)
        counter.start()
        try:
            engine.run(job, shards)
        finally:
            over.set()
            counter.join()
        progress.advance(total - progress.done)


def _finished(job: Job, shards: Shards) -> int:
    return sum(shards.has(stage.name, shard) for stage in job.stages for shard in range(stage.shards))
