"""Contract of a head kind: a head's loss, its output, the two numbers that calibrate it, and its line in a report."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from pydantic import Field

from unified_ranker.config import Config
from unified_ranker.config.declaration import Declaration
from unified_ranker.config.kinds import Kinds
from unified_ranker.core.arrays import Floats, Mask
from unified_ranker.log.need import Need
from unified_ranker.log.schema import InteractionLog
from unified_ranker.towers.tensorflow import tf


@dataclass(frozen=True)
class HeadExamples:
    """Training examples as seen by the head that each of them teaches; the chosen item is the first candidate.

    Attributes:
        logits: of the head, `[rows, candidates]`.
        drawn: how often each candidate is drawn in a step, `[rows, candidates]`: for log-Q.
        allowed: which candidates take part, `[rows, candidates]`; the first always does.
        value: value of the event, `[rows]`; 0 where it has none.
        has_value: whether it has one, `[rows]`.
        scale: first number of calibration of the head on the example's task, `[rows, 1]`.
        shift: the second, `[rows, 1]`.
    """

    logits: tf.Tensor
    drawn: tf.Tensor
    allowed: tf.Tensor
    value: tf.Tensor
    has_value: tf.Tensor
    scale: tf.Tensor
    shift: tf.Tensor


@dataclass(frozen=True)
class HeadPairs:
    """Pairs of recorded requests and the candidates that were ranked for them, in NumPy.

    Attributes:
        logits: of the head, `[pairs]`.
        event: whether the request ended with this candidate in the event that teaches the head, `[pairs]`.
        value: value of the event, `[pairs]`; NaN where it has none, or did not happen.
    """

    logits: Floats
    event: Mask
    value: Floats


@dataclass(frozen=True)
class Bin:
    """Bin of pairs with similar predictions: their number, the mean prediction, and the mean observed value."""

    pairs: int
    predicted: float
    happened: float


@dataclass(frozen=True)
class HeadReport:
    """Predictions of one head, compared with observed values.

    Attributes:
        head: its name.
        pairs: (request, candidate) pairs that were compared.
        happened: mean observed value; for an event, its share of the pairs.
        predicted: mean prediction.
        error: calibration error: the mean of |predicted - happened| over the bins, weighted by their pairs.
        bins: of equal size, in order of the prediction.
        kind: `type` of the head.
        line: a sentence that reports add; "" for none. Tables of reports show heads of kind `event` alone, so other
            kinds put their numbers here.
    """

    head: str
    pairs: int
    happened: float
    predicted: float
    error: float
    bins: tuple[Bin, ...]
    kind: str = "event"
    line: str = ""


class HeadKind(Declaration, ABC):
    """Declaration of a head in towers/ranker.yaml: its loss, its output and its report.

    A subclass declares `type: Literal["name"]` and settings. Its module must be importable without TensorFlow and SciPy
    (see `towers.tensorflow`).

    Attributes:
        ranks: whether the head is trained by softmax over candidates, so that its logits can be mixed into `score`, and
            begin at the retrieval score. Others begin at zero.
    """

    ranks: ClassVar[bool] = True

    type: str
    weight: float = Field(1.0, ge=0)
    """Weight of the head's loss beside the other heads' losses."""

    def taught_by(self, name: str) -> str:
        """Return the head whose positives (`head` in tasks/) teach the head called `name`; itself by default."""
        return name

    def need(self, name: str, config: Config, log: InteractionLog) -> Need | None:
        """Return the part of the log that it learns from, for `validate`; None by default: positives are enough."""
        del name, config, log
        return None

    @abstractmethod
    def loss(self, examples: HeadExamples) -> tf.Tensor:
        """Return the loss of each example, `[rows]`, finite also where the event has no value."""

    @abstractmethod
    def output(self, logits: tf.Tensor, scale: tf.Tensor, shift: tf.Tensor) -> tf.Tensor:
        """Return the outputs of the served model for logits, in their shape, by the two numbers of calibration.

        Both numbers begin at 0; the loss may train them, and `calibrate` sets them. Stock TensorFlow operations only.
        """

    def log_output(self, logits: tf.Tensor, scale: tf.Tensor, shift: tf.Tensor) -> tf.Tensor:
        """Return the logarithm of `output`: the score adds the outputs of kinds that rank, by their values.

        A kind whose output saturates computes it directly, so that candidates keep their order.
        """
        return tf.math.log(tf.maximum(self.output(logits, scale, shift), 1e-30))

    @abstractmethod
    def calibrate(self, pairs: HeadPairs) -> tuple[float, float]:
        """Return the two numbers that make `output` right on pairs of the end of the fit window, at least one."""

    @abstractmethod
    def report(self, name: str, output: np.ndarray, pairs: HeadPairs) -> HeadReport:
        """Compare outputs `[pairs]` with observed values, for the head called `name`; there is at least one pair."""


HEAD_KINDS: Kinds[HeadKind] = Kinds("head kind")
"""Kinds that `heads` in towers/ranker.yaml may declare; a head that is not declared there is of kind `event`."""
