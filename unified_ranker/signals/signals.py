"""All declared signals of a project, as one."""

import functools
from collections.abc import Callable

import numpy as np

from unified_ranker.config import Config, Lexical, Repeats, SourcePairs, SourceWalks
from unified_ranker.config import SignalFeature as Declared
from unified_ranker.prepare.prepared import Prepared
from unified_ranker.signals.item_pairs import SourceSignal, SuccessionSignal, WalkSignal
from unified_ranker.signals.lexical import LexicalSignal
from unified_ranker.signals.match import Signal, SignalRequest
from unified_ranker.signals.pair_counts import PairsAsOf, source_pairs, successions
from unified_ranker.signals.past import PastItems
from unified_ranker.signals.repeats import RepeatSignal
from unified_ranker.towers.tensorflow import tf


class Signals(tf.keras.layers.Layer):
    """The signals of towers/ranker.yaml, side by side.

    Args:
        config: the declarations.
        prepared: the log that pairs are counted in.
        end: the end of the fit window (seconds): what serving knows.
    """

    def __init__(self, config: Config, prepared: Prepared, end: int) -> None:
        super().__init__(name="signals")
        declared = config.towers.ranker.signals
        # Sorted once for all signals that read them.
        chosen = functools.cache(lambda: source_pairs(prepared.examples, len(prepared.items)))
        self.parts: list[Signal] = [_build(signal, prepared, end, chosen) for signal in declared]
        self.lexical = next((part for part in self.parts if isinstance(part, LexicalSignal)), None)
        self.channels = sum(part.channels for part in self.parts)
        self.past = PastItems(prepared.histories, config.towers.ranker.events_read)

    def words(self, text: tf.Tensor) -> tf.Tensor:
        """Return the word ids of queries `[n]` that the lexical signal compares, `[n, words]`."""
        if self.lexical is None:
            return tf.fill([tf.shape(text)[0], 1], np.int64(-1))
        return self.lexical.words(text)

    def recent(self, user: tf.Tensor, time: tf.Tensor) -> tf.Tensor:
        """Return the last items of users `[n]` strictly before `time` `[n]` (seconds), as `SignalRequest` has them."""
        found = tf.numpy_function(self.past.before, [user, time], tf.int64)
        return tf.ensure_shape(found, [None, self.past.count])

    def features(self, request: SignalRequest, candidates: tf.Tensor, time: tf.Tensor | None = None) -> tf.Tensor:
        """Return `[batch, candidates, channels]`, see `Signal.features`."""
        if not self.parts:
            return tf.zeros([tf.shape(candidates)[0], tf.shape(candidates)[1], 0])
        return tf.concat([part.features(request, candidates, time) for part in self.parts], -1)

    def proposals(self, request: SignalRequest, allowed: tf.Tensor | None = None) -> tf.Tensor:
        """Return the items that the signals would have ranked, `[batch, n]`; -1 where there are fewer, some twice.

        `allowed` `[batch, signals]` says which signals propose to which request; all without.
        """
        if not self.parts:
            return tf.zeros([tf.shape(request.source_item)[0], 0], tf.int64)
        proposed = [part.proposals(request) for part in self.parts]
        if allowed is not None:
            proposed = [tf.where(allowed[:, n : n + 1], part, -1) for n, part in enumerate(proposed)]
        return tf.concat(proposed, 1)


def _build(declared: Declared, prepared: Prepared, end: int, chosen: Callable[[], PairsAsOf]) -> Signal:
    if isinstance(declared, Lexical):
        titles = prepared.items["title"].fillna("").to_numpy(object)
        return LexicalSignal(declared, titles, prepared.created_at < end)
    if isinstance(declared, Repeats):
        return RepeatSignal(declared)
    neighbours, proposed = declared.neighbours, declared.candidates
    if isinstance(declared, SourceWalks):
        return WalkSignal(chosen(), end, neighbours, proposed)
    if isinstance(declared, SourcePairs):
        return SourceSignal(chosen(), end, neighbours, proposed, "source_pairs")
    pairs = successions(prepared.histories, declared.window, len(prepared.items))
    return SuccessionSignal(pairs, end, neighbours, proposed, declared.window, "successions")
