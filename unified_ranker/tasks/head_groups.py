"""Heads of the ranker by their kinds: their losses on a batch, and their outputs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from unified_ranker.config import Config
from unified_ranker.core.arrays import MISSING
from unified_ranker.tasks.head_kinds.base import HeadExamples, HeadKind
from unified_ranker.tasks.head_kinds.event_head import EventHead
from unified_ranker.tasks.losses import log_mixture
from unified_ranker.towers.tensorflow import tf

_Output = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]


def kind_by_head(config: Config) -> dict[str, HeadKind]:
    """Return the kind of every head, by name in the order of `Config.heads`."""
    declared: Mapping[str, HeadKind] = config.towers.ranker.heads
    return {name: declared.get(name, EventHead()) for name in config.heads}


def heads_of_task(config: Config, task: str) -> tuple[str, ...]:
    """Return the heads that are trained on the positives of a task."""
    own = config.tasks[task].heads
    return tuple(name for name, kind in kind_by_head(config).items() if kind.taught_by(name) in own)


@dataclass(frozen=True, eq=False)
class HeadGroup:
    """Heads of one declaration, of which an example trains at most one.

    Attributes:
        kind: the declaration.
        heads: their positions among all heads.
        taught: by the position of an example's own head, the position of the head of the group that it teaches; -1
            for none. None where each teaches itself.
    """

    kind: HeadKind
    heads: tuple[int, ...]
    taught: np.ndarray | None

    def loss(self, batch: "RankedBatch", numbers: tf.Tensor) -> tf.Tensor:
        """Return the weighted loss of each example, `[rows]`; 0 where it teaches none of the group.

        `numbers` are those of calibration, see `HeadGroups.output`.
        """
        number = batch.head if self.taught is None else tf.gather(tf.constant(self.taught), batch.head)
        head = batch.head if self.taught is None else tf.maximum(number, 0)
        own = tf.gather(numbers, head, axis=1, batch_dims=1)
        has_value = tf.math.is_finite(batch.value)
        loss = self.kind.loss(
            HeadExamples(
                logits=tf.gather(batch.logits, head, axis=2, batch_dims=1),
                drawn=batch.drawn,
                allowed=batch.allowed,
                value=tf.where(has_value, batch.value, 0.0),
                has_value=has_value,
                scale=own[:, :1],
                shift=own[:, 1:],
            )
        )
        loss = loss if self.kind.weight == 1.0 else self.kind.weight * loss
        return loss if self.taught is None else tf.where(number == MISSING, tf.zeros_like(loss), loss)


@dataclass(frozen=True)
class RankedBatch:
    """Examples of a batch with their ranked candidates, the chosen item first.

    Attributes:
        logits: of all heads, `[rows, candidates, heads]`.
        drawn: see `HeadExamples`.
        allowed: see `HeadExamples`.
        head: position of each example's own head, `[rows]`.
        value: value of its event, `[rows]`; NaN where absent.
    """

    logits: tf.Tensor
    drawn: tf.Tensor
    allowed: tf.Tensor
    head: tf.Tensor
    value: tf.Tensor


class HeadGroups:
    """All heads of a project, in groups."""

    def __init__(self, config: Config) -> None:
        """Group the declared heads."""
        kinds = kind_by_head(config)
        names = list(kinds)
        self.count = len(names)
        groups: dict[HeadKind, list[str]] = {}
        lone: list[tuple[HeadKind, list[str]]] = []
        for name, kind in kinds.items():
            if kind.taught_by(name) == name:
                groups.setdefault(kind, []).append(name)
            else:
                lone.append((kind, [name]))
        self.groups = [_group(kind, members, names) for kind, members in [*groups.items(), *lone]]

    def loss(self, batch: RankedBatch, numbers: tf.Tensor) -> tf.Tensor:
        """Return the sum of the groups' losses, `[rows]`; for `numbers` see `output`."""
        first, *others = [group.loss(batch, numbers) for group in self.groups]
        for loss in others:
            first += loss
        return first

    def output(self, logits: tf.Tensor, numbers: tf.Tensor) -> tf.Tensor:
        """Return the outputs of all heads for logits `[batch, candidates, heads]`, in their shape.

        `numbers` are those of calibration for each request's task, `[batch, heads, 2]`.
        """
        return self._by_kind(logits, numbers, lambda kind: kind.output)

    def score(self, logits: tf.Tensor, numbers: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """Return the logarithm of the expected value, log Σ weight · output, `[batch, candidates]`.

        A softmax over candidates fixes the logits of a head only up to a constant, so heads can be added only after
        their calibration.

        Args:
            logits: of all heads, `[batch, candidates, heads]`.
            numbers: see `output`.
            weights: value of each head's event for each request's task, `[batch, heads]`; 0 for a head that does not
                rank.
        """
        logs = self._by_kind(logits, numbers, lambda kind: kind.log_output)
        return log_mixture(logs, weights[:, None])

    def _by_kind(self, logits: tf.Tensor, numbers: tf.Tensor, of: Callable[[HeadKind], _Output]) -> tf.Tensor:
        """Return what a method of each head's kind makes of its logits, `[batch, candidates, heads]`."""
        scale, shift = tf.unstack(numbers[:, None], axis=-1)
        if len(self.groups) == 1:
            return of(self.groups[0].kind)(logits, scale, shift)
        columns: dict[int, tf.Tensor] = {}
        for group in self.groups:
            parts = (tf.gather(part, group.heads, axis=2) for part in (logits, scale, shift))
            columns |= zip(group.heads, tf.unstack(of(group.kind)(*parts), axis=2), strict=True)
        return tf.stack([columns[head] for head in range(self.count)], 2)


def _group(kind: HeadKind, members: list[str], names: list[str]) -> HeadGroup:
    heads = tuple(names.index(name) for name in members)
    if len(members) == len(names):
        return HeadGroup(kind, heads, None)
    taught = np.full(len(names), MISSING, np.int64)
    for name, head in zip(members, heads, strict=True):
        taught[names.index(kind.taught_by(name))] = head
    return HeadGroup(kind, heads, taught)
