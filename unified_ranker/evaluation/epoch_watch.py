"""Epochs of a training: how many are enough, measured on requests later than all that the model learns from."""

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from unified_ranker.core.arrays import Floats
from unified_ranker.core.files import write_whole
from unified_ranker.evaluation.candidates import CandidateRules
from unified_ranker.evaluation.metrics import decisive, rank_of_target
from unified_ranker.evaluation.protocol import drawn
from unified_ranker.evaluation.ranked_candidates import ranked_candidates
from unified_ranker.evaluation.scoring import RequestEncoder
from unified_ranker.model.ranker import UnifiedRanker
from unified_ranker.prepare.examples import Examples
from unified_ranker.prepare.prepared import Prepared
from unified_ranker.prepare.quality import QualityAsOf
from unified_ranker.towers.tensorflow import tf
from unified_ranker.training.optimizer import TrainingLength

logger = logging.getLogger(__name__)

_MEASUREMENTS = 4
"""Measurements of a training, spread over the second half of its epochs. Before, the learning rate is so high that a
measurement says little."""
_REQUESTS = 500
"""Requests of a task in a measurement, at most."""
_CHANCE = 0.03
"""Difference of two measurements that chance may make, at least: 3 % of NDCG@10. On Travel five epochs of eight were
higher by less, and the release was 2 % better on the feed and 7 to 8 % worse on the two surfaces with few examples."""
_ERRORS = 2.0
"""Standard errors of a difference that chance may make: where NDCG@10 is .05, 500 requests say it to a fifth."""
_FIT = 10
"""Measurements that have as many requests as the fit of the blend, at the most."""
_LEAST = 1e-3
"""NDCG@10 that is added before the logarithm: below it, a doubling is chance."""


@dataclass(frozen=True)
class Budget:
    """Time of a training: of a holdout model, what is measured with it, and the model of the release.

    Attributes:
        seconds: all of it.
        began: when it began, by `time.perf_counter`.
        share: of the holdout model's examples among those of the model of the release.
    """

    seconds: float
    began: float
    share: float

    def epochs(self, build: float, one: float, measurement: float) -> int:
        """Return how many epochs have time, at least 2.

        Args:
            build: seconds to build a model, which is done twice.
            one: seconds of an epoch of the holdout model.
            measurement: seconds of a measurement; the fit of the blend ranks as many requests as `_FIT` of them.
        """
        left = self.seconds - 2 * build - (_MEASUREMENTS + _FIT) * measurement
        return max(int(left / (one * (1 + 1 / self.share))), 2)


class LaterGains:
    """NDCG@10 of a model on requests that are later than all that it learns from, as the model is when called."""

    def __init__(
        self, model: UnifiedRanker, prepared: Prepared, quality: QualityAsOf, later: Mapping[str, Examples]
    ) -> None:
        """Draw at most 500 of the requests `later` of each task; `quality` is that of the items as of any moment."""
        self._inputs = model, prepared, quality
        self._later = {task: drawn(requests, task, model.config, _REQUESTS) for task, requests in later.items()}

    @cached_property
    def _encoder(self) -> RequestEncoder:
        return RequestEncoder(*self._inputs)

    @cached_property
    def _rules(self) -> CandidateRules:
        model, prepared, _ = self._inputs
        return CandidateRules(prepared, model.config)

    def __call__(self) -> list[Floats]:
        """Return NDCG@10 of two towers and of the ranking head, of each task `[2, requests]`."""
        self._encoder.refresh()
        found = []
        for task, requests in self._later.items():
            gains: list[Floats] = []
            for part in ranked_candidates(self._encoder, self._rules, requests, task):
                chosen = part.requests.item
                towers = decisive(rank_of_target(part.chunk.scores, chosen, part.allowed))
                gains.append(np.stack([towers, part.ranked.ndcg(chosen)]))
            found.append(np.concatenate(gains, 1))
        return found


def mean_log(gains: Sequence[Floats]) -> float:
    """Return the mean over tasks of log NDCG@10, of two towers and ranking head; gains of a task `[2, requests]`.

    A gain counts by its share, whatever the task's level. So the order of epochs is that of NDCG@10 relative to a
    baseline, which is the same for all of them.
    """
    return float(np.mean([np.log(of_task.mean(1) + _LEAST).mean() for of_task in gains]))


class EpochWatch(tf.keras.callbacks.Callback):
    """Cuts a training to its budget of time, ends it when it no longer gains, and restores the best weights."""

    def __init__(
        self,
        model: UnifiedRanker,
        length: TrainingLength,
        measure: Callable[[], list[Floats]],
        directory: Path,
        *,
        patience: int,
        budget: Budget | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Go on from what `directory` has of an interrupted job.

        Args:
            model: the one that is trained.
            length: of the training.
            measure: NDCG@10 of the model as it is, of each task `[2, requests]`, always of the same requests.
            directory: where what is measured and the best weights are kept.
            patience: measurements without a gain after which the training ends; 0: nothing is measured.
            budget: time of the whole training; None: as long as it takes.
            clock: seconds, the same as those of `budget.began`.
        """
        super().__init__()
        self._length, self._gains_now, self._clock = length, measure, clock
        self._patience, self._budget = patience, budget
        self._best = tf.train.Checkpoint(model=model)
        self._state, self._weights = directory / "epochs.json", str(directory / "best")
        self._gains: dict[int, list[Floats]] = {}
        self._began, self._built = 0.0, 0.0
        if self._state.is_file():
            kept = json.loads(self._state.read_text(encoding="utf-8"))
            kept_gains = kept["gains"].items()
            self._gains = {int(epochs): [np.array(of_task) for of_task in gains] for epochs, gains in kept_gains}
            length.cut(kept["epochs"])

    @property
    def scores(self) -> dict[int, float]:
        """The mean over tasks of log NDCG@10, of two towers and ranking head, by epochs."""
        return {epochs: mean_log(gains) for epochs, gains in self._gains.items()}

    @property
    def best(self) -> int:
        """Number of epochs after which the model was best; all of them where nothing was measured.

        Of measurements that chance may tell apart the last: fewer epochs are taken only where more do harm.
        """
        scores = self.scores
        if not scores:
            return self._length.epochs
        highest = self._gains[max(scores, key=lambda epochs: scores[epochs])]
        return max(epochs for epochs, gains in self._gains.items() if not is_better(highest, gains))

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Start the clock."""
        self._began = self._clock()
        self._built = self._built or self._began

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Cut the epochs after the second, which takes as long as the others; measure; end where it is enough."""
        epochs = epoch + 1
        if epochs == 2:
            self._keep_to_budget(self._clock() - self._began)
        if self._patience and epochs in self._measured_at():
            self._measure(epochs)
        self._keep()
        # A model whose length was cut ends there; Keras was told of another number.
        self.model.stop_training = epochs >= self._length.epochs

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        """Give the model the weights with which it was best."""
        if self.best < self._length.epochs:
            self._best.read(self._weights).assert_existing_objects_matched()

    def _keep_to_budget(self, seconds: float) -> None:
        """Cut the epochs to as many as the budget has time for, where one takes so many seconds."""
        if self._budget is None:
            return
        measurement = self._seconds_to_measure()
        fitting = self._budget.epochs(self._built - self._budget.began, seconds, measurement)
        if fitting < self._length.epochs:
            logger.info("%d of %d epochs fit the budget of %.0f s", fitting, self._length.epochs, self._budget.seconds)
            self._length.cut(fitting)

    def _seconds_to_measure(self) -> float:
        """Return how long a measurement takes; 0 where nothing is measured."""
        if not self._patience:
            return 0.0
        self._gains_now()
        # The first one traces the model.
        began = self._clock()
        self._gains_now()
        return self._clock() - began

    def _measured_at(self) -> set[int]:
        last = self._length.epochs
        return {round(epochs) for epochs in np.linspace(max(last / 2, 1), last, _MEASUREMENTS)}

    def _measure(self, epochs: int) -> None:
        self._gains[epochs] = self._gains_now()
        best = self.best
        if epochs == best:
            self._best.write(self._weights)
        since = sum(1 for measured in self._gains if measured > best)
        logger.info("%d epochs: mean log NDCG@10 %.4f, the best after %d", epochs, self.scores[epochs], best)
        if since >= self._patience:
            self._length.epochs = epochs

    def _keep(self) -> None:
        self._state.parent.mkdir(parents=True, exist_ok=True)
        kept = {epochs: [of_task.tolist() for of_task in gains] for epochs, gains in self._gains.items()}
        write_whole(self._state, json.dumps({"epochs": self._length.epochs, "gains": kept}))


def is_better(one: Sequence[Floats], other: Sequence[Floats]) -> bool:
    """Tell whether a measurement is higher than another of the same requests by more than chance makes."""
    apart = max(_CHANCE, _ERRORS * error_of_difference(one, other))
    return mean_log(one) - mean_log(other) > apart


def error_of_difference(one: Sequence[Floats], other: Sequence[Floats]) -> float:
    """Return the standard error of the difference of two measurements of the same requests, as a share of NDCG@10.

    Each is NDCG@10 of two scorers by task, `[2, requests]`. The requests are paired, because those of a task differ
    more than the measurements do.
    """
    variances = []
    for before, after in zip(one, other, strict=True):
        level = np.maximum(before.mean(1), after.mean(1)) + _LEAST
        apart = ((before - after) / level[:, None]).mean(0)
        variances.append(apart.var() / len(apart))
    return float(np.sqrt(np.sum(variances)) / len(variances))
