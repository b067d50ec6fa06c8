"""`text` in towers/item.yaml: the one encoder of titles and queries, of one of three kinds."""

from typing import Annotated, Literal

from pydantic import Field

from unified_ranker.config.declaration import Declaration

TeacherName = Literal["minilm", "use"]


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


class _AnyText(Declaration):
    """Settings of every text encoder."""

    pairs: TextPairSettings = TextPairSettings()
    """Training of the encoder alone, before the joint job."""
    joint: Literal["trained", "frozen"] = "trained"
    """Whether the joint job trains the encoder further, or leaves it as the pairs did (`frozen`)."""


class _Hashing(_AnyText):
    """Settings of the encoders that hash words and character n-grams."""

    buckets: int = Field(32768, ge=64)
    """Rows of the table of trained vectors; words that share a row are one word."""
    max_words: int = Field(16, ge=1)
    """Words of a text that are read."""
    character_ngram: int = Field(4, ge=0, le=8)
    """Characters in an n-gram; 0: none."""
    max_ngrams: int = Field(48, ge=0)
    """Character n-grams of a text that are read."""


class HashedText(_Hashing):
    """Words and character n-grams hashed to `buckets` trained vectors (stock ops only)."""

    type: Literal["hashed"] = "hashed"


class Distillation(Declaration):
    """Training of the hashed graph to reproduce its teacher."""

    steps: int = Field(1500, ge=1)
    """Training steps."""
    batch: int = Field(512, ge=1)
    """Texts in a step."""
    learning_rate: float = Field(1e-2, gt=0)
    """Learning rate."""


class DistilledText(_Hashing):
    """The hashed graph, first trained to reproduce a teacher on titles, queries and single words of the fit window."""

    type: Literal["distilled"]
    teacher: TeacherName = "minilm"
    """`minilm`: all-MiniLM-L6-v2, English. `use`: multilingual Universal Sentence Encoder, 16 languages."""
    distillation: Distillation = Distillation()
    """Training by the teacher."""


class FineTuning(Declaration):
    """Contrastive fine-tuning of the teacher's last layers on pairs."""

    layers: int = Field(2, ge=1)
    """Last layers of the teacher that are trained."""
    steps: int = Field(200, ge=1)
    """Training steps."""
    batch: int = Field(48, ge=2)
    """Pairs in a step."""
    learning_rate: float = Field(5e-5, gt=0)
    """Learning rate."""
    max_seconds: float = Field(180.0, gt=0)
    """Seconds after which it ends at the latest."""


class TransformerText(_AnyText):
    """The teacher itself in the served graph, under a trained projection."""

    type: Literal["transformer"]
    teacher: TeacherName = "minilm"
    """`minilm`: all-MiniLM-L6-v2, English. `use`: multilingual Universal Sentence Encoder, 16 languages."""
    trainable: bool = False
    """Whether the teacher's last layers are fine-tuned before the joint job, which then leaves them."""
    fine_tuning: FineTuning = FineTuning()
    """Fine-tuning of the teacher, with `trainable: true`."""
    residual: int = Field(512, ge=0)
    """Hidden units of the trained projection beside its linear part; 0: linear."""
    max_tokens: int = Field(128, ge=3, le=512)
    """Word pieces after which a text is cut."""


TextEncoding = Annotated[HashedText | DistilledText | TransformerText, Field(discriminator="type")]
