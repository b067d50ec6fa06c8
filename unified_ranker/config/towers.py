"""The files of towers/: user.yaml, context.yaml, item.yaml and ranker.yaml."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from unified_ranker.config.base import Declaration
from unified_ranker.config.features import ItemFeature, QualityFeature, UserFeature


class HashedText(Declaration):
    """Words and character n-grams hashed to `buckets` trained vectors (stock ops only)."""

    type: Literal["hashed"] = "hashed"
    buckets: int = Field(32768, ge=64)
    max_words: int = Field(16, ge=1)
    character_ngram: int = Field(4, ge=0, le=8)
    max_ngrams: int = Field(48, ge=0)


class ItemTower(Declaration):
    """towers/item.yaml: the item vector's sources and the quality vector behind it."""

    dim: int = Field(64, ge=4)
    id_mask_rate: float | Literal["auto"] = "auto"
    features: tuple[ItemFeature, ...] = ()
    text: HashedText = HashedText()
    quality: dict[str, QualityFeature] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _mask_rate_is_a_share(self) -> "ItemTower":
        if self.id_mask_rate != "auto" and not 0 <= self.id_mask_rate < 1:
            raise ValueError(f"`id_mask_rate` must be `auto` or in [0, 1). Received: {self.id_mask_rate}.")
        return self


class Transformer(Declaration):
    """Pre-norm causal transformer with bucketed relative positions; layer outputs are pooled by learnt weights."""

    type: Literal["transformer"] = "transformer"
    layers: int = Field(2, ge=1)
    heads: int = Field(2, ge=1)
    dropout: float = Field(0.2, ge=0, lt=1)


class NextK(Declaration):
    """Predict the next `k` positives of the task from one state, weighted by exp(-rank / `decay`)."""

    k: int = Field(1, ge=1)
    decay: float = Field(2.0, gt=0)


class UserTower(Declaration):
    """towers/user.yaml: how long a history, how it is encoded, which profile columns join it.

    `history_events` are the kinds of event that make up histories, all when absent: impressions would crowd out clicks.
    """

    history_length: int = Field(100, ge=2)
    history_events: tuple[str, ...] | None = None
    encoder: Annotated[Transformer, Field()] = Transformer()
    profile: tuple[UserFeature, ...] = ()
    objective: NextK = NextK()


ContextField = Literal["query", "source_item", "country", "task", "previous_task", "time"]


class ContextTower(Declaration):
    """towers/context.yaml: which fields of the request the model sees, and how often they are crossed (DCN-v2)."""

    fields: tuple[ContextField, ...] = ("query", "source_item", "country", "task", "previous_task", "time")
    cross_layers: int = Field(1, ge=0)
    country_min_count: int = Field(1, ge=1)


class Ranker(Declaration):
    """towers/ranker.yaml: the multi-task head. `experts` gated by task (MMoE) over a shared crossed bottom."""

    hidden: int = Field(64, ge=4)
    experts: int = Field(4, ge=1)
    cross_layers: int = Field(1, ge=0)
    dropout: float = Field(0.1, ge=0, lt=1)


class Towers(Declaration):
    """The files of towers/."""

    user: UserTower = UserTower()
    context: ContextTower = ContextTower()
    item: ItemTower = ItemTower()
    ranker: Ranker = Ranker()
