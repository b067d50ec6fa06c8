"""A progress bar for each epoch of a training."""

from tqdm import tqdm

from unified_ranker.towers.tensorflow import tf


class EpochBars(tf.keras.callbacks.Callback):
    """Draws one bar over all steps of the job, with the epoch and the running loss."""

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Open the bar."""
        self.bar = tqdm(total=self.params["epochs"] * self.params["steps"], desc="train", unit="step")

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Show the epoch; a resumed job begins where it stopped."""
        self.bar.n = epoch * self.params["steps"]
        self.bar.set_description(f"train, epoch {epoch + 1} of {self.params['epochs']}")

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Move on by a step."""
        self.bar.update(1)
        self.bar.set_postfix(loss=f"{(logs or {}).get('loss', float('nan')):.3f}", refresh=False)

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        """Close the bar."""
        self.bar.close()
