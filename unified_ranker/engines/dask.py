"""Engine on dask.distributed: shards are tasks of a scheduler, and another worker repeats those of one that dies."""

from contextlib import AbstractContextManager
from typing import Any

from unified_ranker.core.errors import UserError
from unified_ranker.core.extras import require_extra
from unified_ranker.engines.job import Job, Shards, fail, make_shard
from unified_ranker.engines.shards import DiskShards


class Dask:
    """Runs a job on a dask cluster.

    Args:
        workers: worker processes of a cluster on this machine, started for the job and closed after it.
        address: a scheduler, such as `tcp://host:8786`, instead. Its workers need this package, and the work directory
            on a disk that all of them share.
    """

    def __init__(self, workers: int = 2, address: str | None = None) -> None:
        """Choose the cluster."""
        self.workers, self.address = workers, address

    def run(self, job: Job, shards: Shards) -> None:
        """Make every shard that is not there yet."""
        if not isinstance(shards, DiskShards):
            raise TypeError("`shards` must be on disk for dask, whose workers share nothing else.")
        with self._client() as client:
            for stage in job.stages:
                # Not pure, because the results are files: dask must run each of them. Its key tells them apart.
                keys = [f"{job.key}-{stage.name}-{shard:05d}" for shard in range(stage.shards)]
                futures = [
                    client.submit(make_shard, job, stage, shard, shards, key=key, pure=False, retries=2)
                    for shard, key in enumerate(keys)
                ]
                fail(client.gather(futures))

    def _client(self) -> AbstractContextManager[Any]:
        require_extra("dask", "the engine `dask`", "or choose another `--engine`")
        from distributed import Client

        if self.address is None:
            return Client(n_workers=self.workers, threads_per_worker=1, dashboard_address=None)
        try:
            return Client(self.address, timeout="3s")
        except (OSError, TimeoutError) as error:
            raise UserError(
                f"`--engine-address`: no dask scheduler answers at `{self.address}`. Start one with `dask scheduler`, "
                "or leave the address out for a cluster on this machine."
            ) from error
