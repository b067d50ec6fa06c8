"""Engine on Apache Beam: one pipeline with a ParDo for each stage, which waits for the results of the stage before.

Beam's elements are shards and not rows: Beam distributes, retries and schedules them, and rows stay in Arrow. An
element costs 2 to 40 µs in Beam's Python, for a row as for a shard of 500,000 rows. Shards exchange data by files, so
memory does not grow with the log, as it would in the shuffle of FnApiRunner.
"""

import contextlib
import logging
from collections.abc import Iterator

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner  # type: ignore[attr-defined]

from unified_ranker.engines.job import Job, Shards, fail, make_shard
from unified_ranker.engines.shards import DiskShards

FAILED = ".failed"


class Beam:
    """Runs a job as a Beam pipeline, by default on FnApiRunner.

    Args:
        workers: worker processes of FnApiRunner; 1 stays in this process.
        options: Beam's own pipeline options, such as `--runner=FlinkRunner`; they replace `workers`. On several
            machines the work directory must be on a disk that all of them share.
    """

    def __init__(self, workers: int = 1, options: tuple[str, ...] = ()) -> None:
        """Choose the runner."""
        self.workers, self.options = workers, options

    def run(self, job: Job, shards: Shards) -> None:
        """Make every shard that is not there yet."""
        if not isinstance(shards, DiskShards):
            raise TypeError("`shards` must be on disk for Beam, whose workers share nothing else.")
        shards.root.mkdir(parents=True, exist_ok=True)
        for old in shards.root.glob(f"*{FAILED}"):
            old.unlink()
        pipeline = beam.Pipeline(**self._runner())
        before: list = []
        for number, stage in enumerate(job.stages):
            made = (
                pipeline
                | f"{stage.name}: shards" >> beam.Create(range(stage.shards))
                | f"{stage.name}: shuffle" >> beam.Reshuffle()
                | stage.name >> beam.ParDo(_MakeShard(job, number, shards), *before)
            )
            before = [beam.pvalue.AsList(made)]
        with _quiet():
            pipeline.run().wait_until_finish()
        fail([file.read_text(encoding="utf-8") for file in sorted(shards.root.glob(f"*{FAILED}"))])

    def _runner(self) -> dict:
        if any(option.startswith("--runner") for option in self.options):
            return {"options": PipelineOptions(list(self.options))}
        mode = ["--direct_running_mode=multi_processing", f"--direct_num_workers={self.workers}"]
        # The class and not the name `DirectRunner`, which first tries to download another runner.
        quiet = ["--default_sdk_harness_log_level=ERROR"]
        flags = [*self.options, *quiet, *(mode if self.workers > 1 else [])]
        return {"runner": FnApiRunner(), "options": PipelineOptions(flags)}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence Beam's warnings about missing optional parts; its errors are still logged."""
    loggers = [logging.getLogger(name) for name in ("apache_beam", "root")]
    before = [(logger, logger.level) for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in before:
            logger.setLevel(level)


class _MakeShard(beam.DoFn):
    def __init__(self, job: Job, number: int, shards: DiskShards) -> None:
        self._job, self._number, self._shards = job, number, shards

    def process(self, shard: int, before: list[str] = ()) -> list[str]:  # type: ignore[assignment]
        """Make a shard and return its error, if any; after an error in an earlier stage do nothing."""
        if any(before):
            return ["stopped"]
        stage = self._job.stages[self._number]
        problem = make_shard(self._job, stage, shard, self._shards)
        if problem:
            (self._shards.root / f"{self._number:02d}-{shard:05d}{FAILED}").write_text(problem, encoding="utf-8")
        return [problem]
