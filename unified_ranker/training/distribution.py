"""Distribution of a training: one device, all devices of a machine, or several machines (`project.training.strategy`).

Workers of `multi_worker` find each other by TF_CONFIG, TensorFlow's own variable: `{"cluster": {"worker": ["host:port",
…]}, "task": {"type": "worker", "index": 0}}`. Every replica takes its share of each batch, so a step sees as many
examples as on one device, and gradients are averaged.
"""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from unified_ranker.config import Config
from unified_ranker.core.errors import UserError
from unified_ranker.towers.tensorflow import tf


@dataclass(frozen=True)
class Distribution:
    """TensorFlow strategy, with the index of this process and the number of workers."""

    strategy: tf.distribute.Strategy
    worker: int = 0
    workers: int = 1

    @property
    def replicas(self) -> int:
        """Number of replicas of the model on all workers."""
        return int(self.strategy.num_replicas_in_sync)

    def checkpoints(self, directory: Path) -> Path:
        """Return this worker's directory of checkpoints; a job resumes from those of worker 0."""
        return directory if self.worker == 0 else directory / f"worker-{self.worker}"

    def dataset(self, make: Callable[[int], tf.data.Dataset]) -> tf.data.Dataset:
        """Return the dataset for `fit` from `make(replica)`, the data of one replica."""
        if self.replicas == 1:
            return make(0)
        local = self.replicas // self.workers

        def of_worker(context: tf.distribute.InputContext) -> tf.data.Dataset:
            parts = [make(self.worker * local + i) for i in range(local)]
            choose = tf.data.Dataset.range(local).repeat()
            return parts[0] if local == 1 else tf.data.Dataset.choose_from_datasets(parts, choose)

        return self.strategy.distribute_datasets_from_function(of_worker)


def distribution_of(config: Config) -> Distribution:
    """Return the strategy that the project declares. Call it before any other function of TensorFlow.

    Raises:
        UserError: `multi_worker` without a cluster.
    """
    name = config.project.training.strategy
    if name == "one_device":
        return Distribution(tf.distribute.get_strategy())
    if name == "mirrored":
        return Distribution(tf.distribute.MirroredStrategy())
    cluster = json.loads(os.environ.get("TF_CONFIG", "{}"))
    if "cluster" not in cluster or "task" not in cluster:
        raise UserError(
            "`project.training.strategy: multi_worker` needs the variable TF_CONFIG with the cluster's workers and "
            'which one this is: {"cluster": {"worker": ["host:port", …]}, "task": {"type": "worker", "index": 0}}. '
            "Set it, or declare `one_device`."
        )
    return Distribution(
        tf.distribute.MultiWorkerMirroredStrategy(), cluster["task"]["index"], len(cluster["cluster"]["worker"])
    )
