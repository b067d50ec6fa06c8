"""Engine for small jobs: one shard after the other, in this process."""

from unified_ranker.engines.job import Job, Shards, fail, make_shard


class InProcess:
    """Makes shards in order."""

    def run(self, job: Job, shards: Shards) -> None:
        """Make every shard that is not there yet."""
        for stage in job.stages:
            for shard in range(stage.shards):
                fail([make_shard(job, stage, shard, shards)])
