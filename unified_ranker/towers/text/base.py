"""Contracts of a text encoder: its declaration, the layer that it builds, and its training before the joint job."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, Protocol, TypeAlias

import numpy as np
from pydantic import Field

from unified_ranker.config.declaration import Declaration
from unified_ranker.config.kinds import Kinds
from unified_ranker.towers.tensorflow import tf
from unified_ranker.towers.text.pairs import TextPairs


@dataclass(frozen=True)
class Tokens:
    """Texts as input of an encoder: its `parts`, each a (ragged) tensor with one row for each text, `[n, ...]`."""

    parts: Mapping[str, tf.Tensor | tf.RaggedTensor]

    def at(self, rows: tf.Tensor) -> Tokens:
        """Return the texts at `rows` `[m]`."""
        return Tokens({name: tf.gather(part, rows) for name, part in self.parts.items()})


class TextEncoder(ABC):
    """Encoder of titles and queries, shared by all towers. An implementation is a Keras layer, too.

    Attributes:
        parts: names of the parts of its `Tokens`.
        resources: objects that the served graph must keep besides the weights, such as tokenizers.
        pairs_rate: learning rate of the training on pairs, if `learning_rate` is `auto`.
        costly: whether a text takes the server milliseconds, so that the service caches vectors.
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
        """Weights that training on pairs changes, even if they are frozen in the joint job."""
        return [weight for weight in self.weights if weight.trainable]


class TextPairSettings(Declaration):
    """Training of the text encoder alone, before the joint job: a query finds the title of the item that it led to."""

    steps: int = Field(0, ge=0)
    """Training steps; 0: no training on pairs."""
    batch: int = Field(256, ge=2)
    """Pairs of a query and a title in a step."""
    negatives: int = Field(1024, ge=0)
    """Random other titles in a step, besides those of the batch."""
    learning_rate: Annotated[float, Field(gt=0)] | Literal["auto"] = "auto"
    """`auto`: 0.003 for a table of words, 0.001 for the projection of a teacher, which forgets at a higher rate."""
    temperature: float = Field(0.07, gt=0, le=1)
    """Divides cosines in the softmax."""
    max_seconds: float = Field(300.0, gt=0)
    """Seconds after which the training ends at the latest."""


TextBatch: TypeAlias = "dict[str, tf.Tensor]"
"""One step's inputs of a loss, by name."""


@dataclass(frozen=True)
class Descent:
    """Settings of the minimisation of a loss: steps, learning rate, time limit.

    Attributes:
        title: name in progress reports.
        steps: training steps.
        learning_rate: learning rate of the first step.
        max_seconds: time limit, seconds.
    """

    title: str
    steps: int
    learning_rate: float
    max_seconds: float = np.inf


class TextTrainer(Protocol):
    """Training of a text encoder before the joint job, on data before the end of the fit window.

    Attributes:
        pairs: queries and the items that they led to.
        dim: width of the encoder's vectors.
        seed: seed of random draws.
    """

    pairs: TextPairs
    dim: int
    seed: int

    def descend(
        self,
        loss: Callable[[TextBatch], tf.Tensor],
        batches: Iterable[TextBatch],
        weights: list[tf.Variable],
        how: Descent,
    ) -> None:
        """Minimise `loss` of `batches` over `weights`."""

    def learn_pairs(self, encoder: TextEncoder, settings: TextPairSettings) -> None:
        """Train an encoder on `pairs` as declared; the job calls it for every encoder after `pretrain`."""


class TextEncoding(Declaration, ABC):
    """Declaration of `text` in towers/item.yaml, which builds the encoder.

    A subclass declares `type: Literal["name"]` and settings. Its module must be importable without TensorFlow: `build`
    imports the layer.

    Attributes:
        extra: extra of this package that training needs; None: none.
        serves_text_ops: whether the served graph holds operations of TensorFlow Text, which a process must import.
    """

    extra: ClassVar[str | None] = None
    serves_text_ops: ClassVar[bool] = False

    type: str
    pairs: TextPairSettings = TextPairSettings()
    """Training of the encoder alone, before the joint job."""
    joint: Literal["trained", "frozen"] = "trained"
    """Whether the joint job trains the encoder further, or leaves it as the pairs did (`frozen`)."""

    @abstractmethod
    def build(self, dim: int, titles: np.ndarray) -> TextEncoder:
        """Build the encoder for vectors of `dim`; `titles` `[n]` are those of the fit window.

        Raises:
            UserError: its packages are not installed.
        """

    def pretrain(self, encoder: TextEncoder, trainer: TextTrainer) -> None:
        """Train what `build` returned, before the training on pairs; nothing by default."""

    def describe(self) -> str:
        """Return the name of the encoder in reports."""
        return self.type


TEXT_ENCODERS: Kinds[TextEncoding] = Kinds("text encoder")
"""Encoders that `text` in towers/item.yaml may declare."""
