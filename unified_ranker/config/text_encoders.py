"""`text` in towers/item.yaml: the one encoder of titles and queries, of one of three kinds."""

from typing import Annotated, Literal

from pydantic import Field

from unified_ranker.config.declaration import Declaration

TeacherName = Literal["minilm", "use"]


class TextPairSettings(Declaration):
    """Training of the text encoder alone, before the joint job: a query finds the title of what it led to.

    `steps` 0 leaves it out. Each step takes `batch` pairs of the fit window and `negatives` other items besides; it
    ends after `max_seconds` at the latest. `learning_rate` auto is 0.003 for a table of words, which has far to go, and
    0.001 for the projection of a teacher that knows them: faster, it forgets.
    """

    steps: int = Field(0, ge=0)
    batch: int = Field(256, ge=2)
    negatives: int = Field(1024, ge=0)
    learning_rate: Annotated[float, Field(gt=0)] | Literal["auto"] = "auto"
    temperature: float = Field(0.07, gt=0, le=1)
    max_seconds: float = Field(300.0, gt=0)


class _AnyText(Declaration):
    """`joint` says whether the joint job trains the encoder on, or leaves it as the training on `pairs` did."""

    pairs: TextPairSettings = TextPairSettings()
    joint: Literal["trained", "frozen"] = "trained"


class _Hashing(_AnyText):
    buckets: int = Field(32768, ge=64)
    max_words: int = Field(16, ge=1)
    character_ngram: int = Field(4, ge=0, le=8)
    max_ngrams: int = Field(48, ge=0)


class HashedText(_Hashing):
    """Words and character n-grams hashed to `buckets` trained vectors (stock ops only)."""

    type: Literal["hashed"] = "hashed"


class Distillation(Declaration):
    """How long the hashed graph learns to reproduce its teacher: `steps` of `batch` texts each."""

    steps: int = Field(1500, ge=1)
    batch: int = Field(512, ge=1)
    learning_rate: float = Field(1e-2, gt=0)


class DistilledText(_Hashing):
    """The hashed graph, first trained to reproduce a teacher on titles, queries and single words of the fit window."""

    type: Literal["distilled"]
    teacher: TeacherName = "minilm"
    distillation: Distillation = Distillation()


class FineTuning(Declaration):
    """Contrastive fine-tuning of the teacher's last `layers` on pairs, for `max_seconds` at the most."""

    layers: int = Field(2, ge=1)
    steps: int = Field(200, ge=1)
    batch: int = Field(48, ge=2)
    learning_rate: float = Field(5e-5, gt=0)
    max_seconds: float = Field(180.0, gt=0)


class TransformerText(_AnyText):
    """The teacher itself in the served graph, under a trained projection with `residual` hidden units.

    `trainable` fine-tunes the teacher before the joint job (see `fine_tuning`), which then sees it frozen. Texts are
    cut after `max_tokens` pieces.
    """

    type: Literal["transformer"]
    teacher: TeacherName = "minilm"
    trainable: bool = False
    fine_tuning: FineTuning = FineTuning()
    residual: int = Field(512, ge=0)
    max_tokens: int = Field(128, ge=3, le=512)


TextEncoding = Annotated[HashedText | DistilledText | TransformerText, Field(discriminator="type")]
