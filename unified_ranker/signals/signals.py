"""All declared signals of a project, as one."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from unified_ranker.config import Config
from unified_ranker.core.arrays import MISSING
from unified_ranker.prepare.prepared import Prepared
from unified_ranker.signals.base import Signal, SignalInputs, SignalRequest
from unified_ranker.signals.past import PastItems
from unified_ranker.towers.tensorflow import tf


class Signals(tf.keras.layers.Layer):
    """The signals of towers/ranker.yaml, side by side.

    Args:
        config: the declarations.
        prepared: the log that they are made from.
        end: the end of the fit window (seconds), after which serving has no data.
    """

    def __init__(self, config: Config, prepared: Prepared, end: int) -> None:
        super().__init__(name="signals")
        inputs = SignalInputs(prepared, end)
        self.parts: list[Signal] = [declared.build(inputs) for declared in config.towers.ranker.signals]
        # Keras tracks variables that are assigned to attributes; the signals themselves are no layers.
        self.tables = [variable for part in self.parts for variable in part.variables]
        self.channels = sum(part.channels for part in self.parts)
        self.past = PastItems(prepared.histories, config.towers.ranker.events_read)

    def words(self, text: tf.Tensor) -> tf.Tensor:
        """Return the signals' `read_text` of queries `[n]` side by side, `[n, words]`; else one blank column."""
        read = [part.read_text(text) for part in self.parts if part.text_width]
        return tf.concat(read, 1) if read else tf.fill([tf.shape(text)[0], 1], np.int64(MISSING))

    def recent(self, user: tf.Tensor, time: tf.Tensor) -> tf.Tensor:
        """Return the last items of users `[n]` strictly before `time` `[n]` (seconds), as `SignalRequest` has them."""
        found = tf.numpy_function(self.past.before, [user, time], tf.int64)
        return tf.ensure_shape(found, [None, self.past.count])

    def features(self, request: SignalRequest, candidates: tf.Tensor, time: tf.Tensor | None = None) -> tf.Tensor:
        """Return `[batch, candidates, channels]`, see `Signal.features`."""
        if not self.parts:
            return tf.zeros([tf.shape(candidates)[0], tf.shape(candidates)[1], 0])
        found = zip(self.parts, self._own(request), strict=True)
        return tf.concat([part.features(own, candidates, time) for part, own in found], -1)

    def proposals(self, request: SignalRequest, allowed: tf.Tensor | None = None) -> tf.Tensor:
        """Return the proposals of the signals, `[batch, n]`; -1 where there are fewer. An item may occur twice.

        `allowed` `[batch, signals]` marks the signals that propose for a request; None: all.
        """
        if not self.parts:
            return tf.zeros([tf.shape(request.source_item)[0], 0], tf.int64)
        proposed = [part.proposals(own) for part, own in zip(self.parts, self._own(request), strict=True)]
        if allowed is not None:
            proposed = [tf.where(allowed[:, n : n + 1], part, -1) for n, part in enumerate(proposed)]
        return tf.concat(proposed, 1)

    def _own(self, request: SignalRequest) -> Iterator[SignalRequest]:
        """Yield the request for each signal, with the columns of its own `read_text`."""
        begin = 0
        for part in self.parts:
            yield replace(request, words=request.words[:, begin : begin + part.text_width])
            begin += part.text_width
