"""Head kind `dwell`: for how many seconds a user stays with the candidate."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
from pydantic import Field

from unified_ranker.config import Config
from unified_ranker.log.need import Need
from unified_ranker.log.schema import InteractionLog
from unified_ranker.tasks.head_kinds.base import HEAD_KINDS, HeadExamples, HeadKind, HeadPairs, HeadReport
from unified_ranker.tasks.head_kinds.reliability import reliability_of
from unified_ranker.towers.tensorflow import tf


@HEAD_KINDS.declare
class DwellHead(HeadKind):
    """Dwell time in seconds, where `value` of an event holds it: a regression of its logarithm."""

    ranks = False

    type: Literal["dwell"] = "dwell"
    of: str = "click"
    """Head whose positives have the dwell times."""
    longest: float = Field(3600.0, gt=0)
    """Seconds beyond which nothing is learnt or put out."""

    def taught_by(self, name: str) -> str:
        """See `HeadKind.taught_by`: the head `of`, beside which it learns."""
        del name
        return self.of

    def need(self, name: str, config: Config, log: InteractionLog) -> Need:
        """See `HeadKind.need`: events of the positives have a value."""
        del name
        types = {p.event_type for task in config.tasks.values() for p in task.positives if p.head_name == self.of}
        valued = log.events.loc[log.events["event_type"].isin(types), "value"].notna().sum()
        return Need(
            f"events of `{self.of}` have a `value`", bool(valued), f"none of {', '.join(sorted(types))} has one"
        )

    def loss(self, examples: HeadExamples) -> tf.Tensor:
        """See `HeadKind.loss`: the squared error of the logarithm, of the chosen candidate alone."""
        seconds = tf.math.log(tf.clip_by_value(examples.value, 1.0, self.longest))
        return tf.where(examples.has_value, tf.square(examples.logits[:, 0] - seconds), 0.0)

    def output(self, logits: tf.Tensor, scale: tf.Tensor, shift: tf.Tensor) -> tf.Tensor:
        """See `HeadKind.output`: seconds, exp(logit + shift), up to `longest`."""
        del scale
        return tf.exp(tf.minimum(logits + shift, np.log(self.longest).astype(np.float32)))

    def calibrate(self, pairs: HeadPairs) -> tuple[float, float]:
        """See `HeadKind.calibrate`: exp of a mean logarithm is below the mean (Duan, JASA 1983: smearing)."""
        seconds, logits = self._observed(pairs)
        if not len(seconds):
            return 0.0, 0.0
        return 0.0, float(np.log(seconds.mean()) - np.log(np.exp(logits.astype(np.float64)).mean()))

    def report(self, name: str, output: np.ndarray, pairs: HeadPairs) -> HeadReport:
        """See `HeadKind.report`: seconds predicted and observed, of the pairs that have a dwell time."""
        seconds, _ = self._observed(pairs)
        if not len(seconds):
            return HeadReport(name, 0, 0.0, 0.0, 0.0, (), self.type, "no event of these requests has a dwell time.")
        found = reliability_of(name, output[self._timed(pairs)], seconds)
        line = f"{found.predicted:.1f} seconds predicted and {found.happened:.1f} observed over {found.pairs:,} events."
        return replace(found, kind=self.type, line=line)

    def _timed(self, pairs: HeadPairs) -> np.ndarray:
        return pairs.event & np.isfinite(pairs.value)

    def _observed(self, pairs: HeadPairs) -> tuple[np.ndarray, np.ndarray]:
        """Return observed seconds and logits of the pairs that have a dwell time."""
        timed = self._timed(pairs)
        return np.clip(pairs.value[timed], 1.0, self.longest), pairs.logits[timed]
