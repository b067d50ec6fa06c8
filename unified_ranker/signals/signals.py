"""All declared signals of a project as one layer."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from unified_ranker.config import Config
from unified_ranker.core.arrays import MISSING
from unified_ranker.prepare.prepared import Prepared
from unified_ranker.signals.base import Signal, SignalInputs, SignalRequest
from unified_ranker.signals.past import PastItems, RefusedItems
from unified_ranker.towers.tensorflow import tf


class SignalLayer(tf.keras.layers.Layer):
    """Signals of towers/ranker.yaml, with their channels concatenated.

    Args:
        config: the declarations.
        prepared: the prepared log.
        end: the end of the fit window, seconds; serving has no later data.

    Attributes:
        learnt: names of the channels that the ranking head learns from.
        counted: names of the channels that the blend alone reads.
    """

    def __init__(self, config: Config, prepared: Prepared, end: int) -> None:
        super().__init__(name="signals")
        inputs = SignalInputs(prepared, end, tuple(config.tasks))
        declared = config.towers.ranker.signals
        self.parts: list[Signal] = [signal.build(inputs) for signal in declared]
        # Assigned so that Keras tracks them: the parts are no layers.
        self.tables = [variable for part in self.parts for variable in part.variables]
        names = [
            [f"{kind.type}: {name}" for name in part.channels] for kind, part in zip(declared, self.parts, strict=True)
        ]
        self.learnt, self.counted = (
            tuple(name for own, part in zip(names, self.parts, strict=True) if part.learnt == learnt for name in own)
            for learnt in (True, False)
        )
        self.past = PastItems(prepared.histories, config.towers.ranker.events_read)
        self.refusals = RefusedItems(prepared.histories, list(config.tasks.values()))

    def words(self, text: tf.Tensor) -> tf.Tensor:
        """Return the columns of all `read_text` of queries `[n]`, `[n, words]`; one column of -1 if none reads."""
        read = [part.read_text(text) for part in self.parts if part.text_width]
        return tf.concat(read, 1) if read else tf.fill([tf.shape(text)[0], 1], np.int64(MISSING))

    def recent(self, user: tf.Tensor, time: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the last items of users `[n]` strictly before `time` `[n]` (seconds), and the times of their events.

        They are `recent` and `recent_time` of `SignalRequest`.
        """
        items, times = tf.numpy_function(self.past.before, [user, time], [tf.int64, tf.int64])
        shape = [None, self.past.count]
        return tf.ensure_shape(items, shape), tf.ensure_shape(times, shape)

    def refused(self, user: tf.Tensor, time: tf.Tensor, task: tf.Tensor) -> tf.Tensor:
        """Return the last items that users `[n]` refused before `time` `[n]`, by `task` `[n]`; see `RefusedItems`."""
        if not self.refusals.count:
            return tf.zeros([tf.shape(user)[0], 0], tf.int64)
        found = tf.numpy_function(self.refusals.before, [user, time, task], tf.int64)
        return tf.ensure_shape(found, [None, self.refusals.count])

    def features(self, request: SignalRequest, candidates: tf.Tensor, time: tf.Tensor | None = None) -> tf.Tensor:
        """Return the channels that the head learns from, `[batch, candidates, learnt]`; see `Signal.features`."""
        return self._side_by_side(request, candidates, time, learnt=True)

    def counts(self, request: SignalRequest, candidates: tf.Tensor) -> tf.Tensor:
        """Return the channels of the blend alone, `[batch, candidates, counted]`, as of the end of the fit window."""
        return self._side_by_side(request, candidates, None, learnt=False)

    def retitled(
        self, features: tf.Tensor, request: SignalRequest, cells: tf.Tensor, titles: tf.Tensor, learnt: bool
    ) -> tf.Tensor:
        """Return features `[batch, candidates, channels]` in which some candidates have other titles.

        Args:
            features: those of `features`, or of `counts`.
            request: the requests.
            cells: request and candidate of each title, `[titles, 2]`.
            titles: `[titles]`.
            learnt: whether the features are those of the signals that the head learns from.
        """
        out, begin = [], 0
        for part, own in self._own(request):
            if part.learnt == learnt:
                block = features[..., begin : begin + len(part.channels)]
                changed = part.title_features(own, cells[:, 0], titles)
                out.append(block if changed is None else tf.tensor_scatter_nd_update(block, cells, changed))
                begin += len(part.channels)
        return tf.concat(out, -1) if out else features

    def proposals(self, request: SignalRequest) -> tf.Tensor:
        """Return the proposals of the learnt signals, `[batch, n]`, perhaps repeated; -1 where there are fewer.

        The other signals have counts of the whole fit window, which contain the training example itself.
        """
        proposed = [part.proposals(own) for part, own in self._own(request) if part.learnt]
        return tf.concat(proposed, 1) if proposed else tf.zeros([tf.shape(request.source_item)[0], 0], tf.int64)

    def proposals_by_signal(self, request: SignalRequest) -> list[tf.Tensor]:
        """Return each signal's proposals in serving, the best first, `[batch, n]` each; -1 where there are fewer."""
        return [part.proposals(own) for part, own in self._own(request)]

    def _side_by_side(
        self, request: SignalRequest, candidates: tf.Tensor, time: tf.Tensor | None, learnt: bool
    ) -> tf.Tensor:
        found = [part.features(own, candidates, time) for part, own in self._own(request) if part.learnt == learnt]
        return tf.concat(found, -1) if found else tf.zeros([tf.shape(candidates)[0], tf.shape(candidates)[1], 0])

    def _own(self, request: SignalRequest) -> Iterator[tuple[Signal, SignalRequest]]:
        """Yield each signal with its request, which has the columns of its own `read_text`."""
        begin = 0
        for part in self.parts:
            yield part, replace(request, words=request.words[:, begin : begin + part.text_width])
            begin += part.text_width
