"""The files of towers/: user.yaml, context.yaml, item.yaml and ranker.yaml."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from unified_ranker.config.declaration import Declaration
from unified_ranker.config.feature_columns import ItemFeature, QualityFeature, UserFeature
from unified_ranker.config.signal_features import Repeats, SignalFeature, Successions
from unified_ranker.config.text_encoders import HashedText, TextEncoding


class ItemTower(Declaration):
    """towers/item.yaml: the item vector's sources and the quality vector behind it.

    `id_mask_rate` of the ids are hidden while training. With `age_gate`, how old an item is at the request decides how
    much its id counts beside its content, by a gate that is learnt.
    """

    dim: int = Field(64, ge=4)
    id_mask_rate: float | Literal["auto"] = "auto"
    age_gate: bool = False
    features: tuple[ItemFeature, ...] = ()
    text: TextEncoding = HashedText()
    quality: dict[str, QualityFeature] = Field(default_factory=dict)

    @field_validator("text", mode="before")
    @classmethod
    def _text_is_hashed_unless_said(cls, value: object) -> object:
        return {"type": "hashed", **value} if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _mask_rate_is_a_share(self) -> "ItemTower":
        if self.id_mask_rate != "auto" and not 0 <= self.id_mask_rate < 1:
            raise ValueError(f"`id_mask_rate` must be `auto` or in [0, 1). Received: {self.id_mask_rate}.")
        return self


class _SequenceEncoder(Declaration):
    """`pooling` says what a state is made of: the outputs of all layers by learnt weights, or the last one's alone."""

    layers: int = Field(2, ge=1)
    heads: int = Field(2, ge=1)
    dropout: float = Field(0.2, ge=0, lt=1)
    pooling: Literal["learnt", "last"] = "learnt"


class Transformer(_SequenceEncoder):
    """Pre-norm causal transformer with bucketed relative positions."""

    type: Literal["transformer"] = "transformer"


class Hstu(_SequenceEncoder):
    """Gated pointwise attention with biases by distance and time (HSTU, arXiv 2402.17152): for long histories."""

    type: Literal["hstu"]


class NextK(Declaration):
    """Predict the next `k` positives of the task from one state, weighted by exp(-rank / `decay`)."""

    k: int = Field(1, ge=1)
    decay: float = Field(2.0, gt=0)


class UserTower(Declaration):
    """towers/user.yaml: how long a history, how it is encoded, which profile columns join it.

    `history_events` are the kinds of event that make up histories, all when absent: impressions would crowd out clicks.
    Without `personal` the model sees nothing of who asks: to measure what personalisation is worth.
    """

    history_length: int = Field(100, ge=2)
    history_events: tuple[str, ...] | None = None
    encoder: Annotated[Transformer | Hstu, Field(discriminator="type")] = Transformer()
    profile: tuple[UserFeature, ...] = ()
    personal: bool = True
    objective: NextK = NextK()

    @field_validator("encoder", mode="before")
    @classmethod
    def _encoder_is_a_transformer_unless_said(cls, value: object) -> object:
        return {"type": "transformer", **value} if isinstance(value, dict) else value


ContextField = Literal["query", "source_item", "country", "task", "previous_task", "time"]


class ContextTower(Declaration):
    """towers/context.yaml: which fields of the request the model sees, and how often they are crossed (DCN-v2).

    `asked_gate` weighs query and source item, unit vectors, before training; a user's state has length √dim. Few
    searches beside many visits of the feed cannot raise a gate far in a short training.
    """

    fields: tuple[ContextField, ...] = ("query", "source_item", "country", "task", "previous_task", "time")
    cross_layers: int = Field(1, ge=0)
    asked_gate: float = Field(1.0, gt=0)
    country_min_count: int = Field(1, ge=1)


class RankerSettings(Declaration):
    """towers/ranker.yaml: the multi-task head. `experts` gated by task over a shared crossed bottom.

    `mmoe` shares all of them (MMoE, KDD 2018); `ple` gives each task `own_experts` besides, which no other task moves
    (PLE, RecSys 2020); `shared_bottom` has none.

    `signals` link request and candidate beyond their vectors, and propose candidates beside the two towers.
    """

    type: Literal["mmoe", "ple", "shared_bottom"] = "mmoe"
    hidden: int = Field(64, ge=4)
    experts: int = Field(4, ge=1)
    own_experts: int = Field(1, ge=1)
    cross_layers: int = Field(1, ge=0)
    dropout: float = Field(0.1, ge=0, lt=1)
    signals: tuple[SignalFeature, ...] = ()

    @property
    def events_read(self) -> int:
        """How many of a user's last events the signals read; 1 at the least."""
        windows = [signal.window for signal in self.signals if isinstance(signal, Successions | Repeats)]
        return max([1, *windows])

    @model_validator(mode="after")
    def _each_signal_once(self) -> "RankerSettings":
        kinds = [signal.type for signal in self.signals]
        twice = sorted({kind for kind in kinds if kinds.count(kind) > 1})
        if twice:
            raise ValueError(f"`signals` must have each type once. Received: {', '.join(twice)}, twice. Remove one.")
        return self


class Towers(Declaration):
    """The files of towers/."""

    user: UserTower = UserTower()
    context: ContextTower = ContextTower()
    item: ItemTower = ItemTower()
    ranker: RankerSettings = RankerSettings()

    @property
    def events_read(self) -> int:
        """How many of a user's last events the model reads, by the user tower or by a signal: what requests bring."""
        return max(self.user.history_length, self.ranker.events_read)
