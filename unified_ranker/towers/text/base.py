"""Contract of a text encoder: strings to tokens, once; tokens to vectors, at every step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from unified_ranker.towers.tensorflow import tf


@dataclass(frozen=True)
class Tokens:
    """Texts as an encoder reads them: its `parts`, each a (ragged) tensor with a row a text, `[n, ...]`."""

    parts: Mapping[str, tf.Tensor | tf.RaggedTensor]

    def at(self, rows: tf.Tensor) -> Tokens:
        """Return the texts at `rows` `[m]`."""
        return Tokens({name: tf.gather(part, rows) for name, part in self.parts.items()})


class TextEncoder(ABC):
    """The one encoder of titles and queries, in every tower. An implementation is a Keras layer, too.

    Attributes:
        parts: names of the parts of its `Tokens`.
        resources: what the served graph must keep besides the weights: tokenizers.
        pairs_rate: learning rate of the training on pairs, where it is left to the encoder.
        costly: whether a text costs the server milliseconds, so that vectors are worth keeping.
        weights: of the layer.
        trainable: whether the joint job trains them.
    """

    parts: tuple[str, ...] = ()
    resources: tuple[object, ...] = ()
    pairs_rate = 3e-3
    costly = False
    weights: list[tf.Variable]
    trainable: bool
    __call__: Callable[..., tf.Tensor]

    @abstractmethod
    def tokenise(self, text: tf.Tensor) -> Tokens:
        """Turn strings `[n]` into their tokens."""

    @abstractmethod
    def embed(self, tokens: Tokens) -> tf.Tensor:
        """Return unit-length vectors `[n, dim]`; zero for texts without a word."""

    def call(self, text: tf.Tensor) -> tf.Tensor:
        """Embed strings `[n]` as `[n, dim]`."""
        return self.embed(self.tokenise(text))

    @property
    def learnt(self) -> list[tf.Variable]:
        """The weights that training changes, also while the joint job leaves them alone."""
        return [weight for weight in self.weights if weight.trainable]
