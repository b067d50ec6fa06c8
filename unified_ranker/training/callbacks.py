"""Callbacks of a training job: progress, checkpoints after every epoch, a stop at a loss that is not finite."""

import json
from itertools import islice
from pathlib import Path

import numpy as np

from unified_ranker.core.errors import UserError
from unified_ranker.core.files import write_whole
from unified_ranker.core.progress import Progress
from unified_ranker.model.ranker import UnifiedRanker
from unified_ranker.towers.tensorflow import tf
from unified_ranker.training.spilled_batches import SpilledBatches
from unified_ranker.training.window_batches import WindowBatches


class EpochProgress(tf.keras.callbacks.Callback):
    """Progress over the steps of the whole job, with the epoch and the running loss."""

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Reset; progress starts with the first epoch, which is not 0 in a resumed job."""
        self._progress: Progress | None = None

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Show the epoch."""
        epochs, steps = self.params["epochs"], self.params["steps"]
        if self._progress is None:
            self._progress = Progress("train", epochs * steps, "steps", done=epoch * steps)
        self._progress.work = f"train, epoch {epoch + 1} of {epochs}"
        self._progress.advance(0)

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Count a step."""
        if self._progress is not None:
            self._progress.advance(note=f"loss {(logs or {}).get('loss', float('nan')):.3f}")

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        """End the progress."""
        if self._progress is not None:
            self._progress.end()


class EpochCheckpoints(tf.keras.callbacks.Callback):
    """Checkpoints of model, optimizer and curves after each epoch; an interrupted job resumes at the last one."""

    def __init__(self, model: UnifiedRanker, directory: Path) -> None:
        """Keep the newest checkpoint in `directory`."""
        super().__init__()
        self.checkpoint = tf.train.Checkpoint(model=model, optimizer=model.optimizer)
        self.manager = tf.train.CheckpointManager(self.checkpoint, str(directory), max_to_keep=1)
        self.log = directory / "curves.json"
        self.curves: dict[str, list[float]] = {}

    def restore(self) -> int:
        """Load the newest checkpoint, if any, into model and optimizer, whose weights must have been made.

        Returns:
            The number of epochs that it contains.
        """
        newest = self.manager.latest_checkpoint
        if newest is None:
            return 0
        self.checkpoint.restore(newest).assert_existing_objects_matched()
        done = int(newest.rsplit("-", 1)[1])
        curves = json.loads(self.log.read_text(encoding="utf-8"))
        self.curves = {name: values[:done] for name, values in curves.items()}
        return done

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Append the epoch's losses and save."""
        for name, value in (logs or {}).items():
            self.curves.setdefault(name, []).append(float(value))
        self.log.parent.mkdir(parents=True, exist_ok=True)
        # Whole or not at all, so that a job that is killed here finds readable curves when it resumes.
        write_whole(self.log, json.dumps(self.curves))
        self.manager.save(checkpoint_number=epoch + 1)


class StopOnNaN(tf.keras.callbacks.Callback):
    """Stop of the job at a loss that is not finite, with the step, the tasks and the features of the batch.

    The report makes the batch again from (seed, epoch), so that no batch has to be kept.
    """

    def __init__(self, batches: WindowBatches | SpilledBatches) -> None:
        """Watch a job over `batches`."""
        super().__init__()
        self.batches, self.epoch = batches, 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Remember the epoch."""
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Raise `UserError` at the first step whose losses are not all finite."""
        broken = [name for name, value in (logs or {}).items() if not np.isfinite(value)]
        if broken:
            raise UserError(self._report(batch, broken))

    def _report(self, step: int, broken: list[str]) -> str:
        batch = next(islice(self.batches.epoch(self.epoch), step, None))
        tasks = sorted({name.split("/", 1)[1] for name in broken if "/" in name})
        # Names without those of the columns' groups, as users know them. Labels are left out: NaN is an absent label.
        named = {name.rpartition("/")[2]: column for name, column in batch.by_name().items() if "/labels/" not in name}
        floats = {name: column for name, column in named.items() if column.dtype.kind == "f"}
        bad = [name for name, column in floats.items() if not np.isfinite(column).all()]
        largest = {name: float(np.abs(column).max(initial=0.0)) for name, column in floats.items()}
        cause = (
            f"features that are not finite: {', '.join(f'`{name}`' for name in bad)}"
            if bad
            else f"all features of the batch are finite (largest absolute values: {largest})"
        )
        return (
            f"the loss is not a number at epoch {self.epoch + 1}, step {step + 1}: {', '.join(sorted(broken))}; "
            f"tasks: {', '.join(tasks) or 'all'}; {cause}. "
            "Correct the data (`unified-ranker validate`), or lower `training.learning_rate`. "
            "The next run resumes after the last whole epoch."
        )


def restore_text(model: UnifiedRanker, directory: Path) -> bool:
    """Load the text encoder of the newest checkpoint in `directory`, and tell whether there is one.

    It comes before the rest of the model, because texts are tokenised with the restored encoder.
    """
    newest = tf.train.latest_checkpoint(str(directory))
    if newest is None:
        return False
    restore_part(model, newest)
    return True


def restore_part(model: UnifiedRanker, prefix: str) -> None:
    """Load the text encoder from a checkpoint of the whole model."""
    part = tf.train.Checkpoint(model=tf.train.Checkpoint(text=model.text))
    part.read(prefix).assert_existing_objects_matched().expect_partial()
