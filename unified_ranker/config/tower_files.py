"""The files of towers/: user.yaml, context.yaml, item.yaml and ranker.yaml."""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from unified_ranker.config.declaration import Declaration
from unified_ranker.config.feature_columns import DeclaredQuality, ItemFeature, UserFeature
from unified_ranker.config.kinds import OneOf


class ItemTower(Declaration):
    """towers/item.yaml: the features of the item vector, and the quality vector that is appended to it."""

    dim: int = Field(64, ge=4)
    """Width of the embedding, without the quality vector."""
    id_mask_rate: float | Literal["auto"] = "auto"
    """Share of the item ids that are hidden in training, so that content learns to describe an item alone; `auto`: the
    share of new items, estimated on the fit window."""
    age_gate: bool = False
    """Whether a trained gate on the item's age at the request weights its id against its content."""
    features: tuple[ItemFeature, ...] = ()
    """Columns of the items table that the tower reads."""
    text: Annotated[Any, OneOf("unified_ranker.towers.text.base:TEXT_ENCODERS", "hashed")] = Field({"type": "hashed"})
    """Encoder of titles and queries, shared by all towers."""
    quality: DeclaredQuality = Field(default_factory=dict)
    """Features of the quality vector, by name, in this order."""

    @model_validator(mode="after")
    def _mask_rate_is_a_share(self) -> "ItemTower":
        if self.id_mask_rate != "auto" and not 0 <= self.id_mask_rate < 1:
            raise ValueError(f"`id_mask_rate` must be `auto` or in [0, 1). Received: {self.id_mask_rate}.")
        return self

    @property
    def popularities(self) -> dict[str, Any]:
        """The quality features that the service counts live, by name, in order."""
        return {name: feature for name, feature in self.quality.items() if feature.counted_live}


class _SequenceEncoder(Declaration):
    """Settings of every sequence encoder."""

    layers: int = Field(2, ge=1)
    """Layers of the encoder."""
    heads: int = Field(2, ge=1)
    """Attention heads; they must divide the width."""
    dropout: float = Field(0.2, ge=0, lt=1)
    """Share of the activations that are dropped in training."""
    pooling: Literal["learnt", "last"] = "learnt"
    """Pooling of a state: all layers' outputs with trained weights (`learnt`), or the last layer's output (`last`)."""


class Transformer(_SequenceEncoder):
    """Pre-norm causal transformer with bucketed relative positions."""

    type: Literal["transformer"] = "transformer"


class Hstu(_SequenceEncoder):
    """Gated pointwise attention with biases by distance and time (HSTU, arXiv 2402.17152): for long histories."""

    type: Literal["hstu"]


class NextK(Declaration):
    """Prediction of the next positives of the task from one state."""

    k: int = Field(1, ge=1)
    """Number of following positives of the task that one state predicts."""
    decay: float = Field(2.0, gt=0)
    """Decay of their weights: the r-th of them, counted from 0, has weight exp(-r / `decay`)."""


class UserTower(Declaration):
    """towers/user.yaml: the history that is read, its encoder, and the profile."""

    history_length: int = Field(100, ge=2)
    """Last events of a user that the tower reads."""
    history_events: tuple[str, ...] | None = None
    """Kinds of event that make up histories; null: all. Leave frequent, weak ones out (impressions would displace
    clicks)."""
    encoder: Annotated[Transformer | Hstu, Field(discriminator="type")] = Transformer()
    """Sequence encoder: `transformer` or `hstu`."""
    profile: tuple[UserFeature, ...] = ()
    """Columns of the users table that the tower reads."""
    personal: bool = True
    """Whether the model reads the user and the history; false measures the worth of personalisation."""
    objective: NextK = NextK()
    """Training objective of the user tower."""

    @field_validator("encoder", mode="before")
    @classmethod
    def _encoder_is_a_transformer_unless_said(cls, value: object) -> object:
        return {"type": "transformer", **value} if isinstance(value, dict) else value


ContextField = Literal["query", "source_item", "country", "task", "previous_task", "time"]


class ContextTower(Declaration):
    """towers/context.yaml: the fields of the request that the model sees, and their crosses."""

    fields: tuple[ContextField, ...] = ("query", "source_item", "country", "task", "previous_task", "time")
    """Fields of the request that the model sees."""
    cross_layers: int = Field(1, ge=0)
    """Layers of DCN-v2 crosses over the fields; 0: none."""
    asked_gate: float = Field(1.0, gt=0)
    """Initial weight of the query and the source item beside the user's state. They are vectors of length 1, the state
    has length √dim. Raise it where searches are few, because a short training moves the weight little."""
    country_min_count: int = Field(1, ge=1)
    """Least number of events of a country; those with fewer count as unknown."""


class RankerSettings(Declaration):
    """towers/ranker.yaml: the multi-task head, experts gated by task over a shared crossed bottom, and the signals."""

    type: Literal["mmoe", "ple", "shared_bottom"] = "mmoe"
    """`mmoe`: all experts are shared (MMoE, KDD 2018). `ple`: each task has `own_experts` besides (PLE, RecSys 2020).
    `shared_bottom`: one layer in place of experts."""
    hidden: int = Field(64, ge=4)
    """Width of an expert."""
    experts: int = Field(4, ge=1)
    """Experts that all tasks share."""
    own_experts: int = Field(1, ge=1)
    """Experts of each task alone, with `type: ple`."""
    cross_layers: int = Field(1, ge=0)
    """Layers of DCN-v2 crosses between request and candidate; 0: none."""
    dropout: float = Field(0.1, ge=0, lt=1)
    """Share of the activations that are dropped in training."""
    signals: tuple[Annotated[Any, OneOf("unified_ranker.signals.base:SIGNALS")], ...] = ()
    """Signals: features of a request and a candidate beside their vectors; each also proposes candidates."""
    heads: dict[str, Annotated[Any, OneOf("unified_ranker.tasks.head_kinds.base:HEAD_KINDS", "event")]] = Field(
        default_factory=dict
    )
    """Heads that are not of kind `event` with the default settings, by name; also those that no positive names."""

    @property
    def events_read(self) -> int:
        """Number of a user's last events that the signals read; at least 1."""
        return max([1, *(signal.events_read for signal in self.signals)])

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
    """towers/user.yaml."""
    context: ContextTower = ContextTower()
    """towers/context.yaml."""
    item: ItemTower = Field(default_factory=ItemTower)
    """towers/item.yaml."""
    ranker: RankerSettings = RankerSettings()
    """towers/ranker.yaml."""

    @property
    def events_read(self) -> int:
        """Number of a user's last events that a request must bring: the most that the user tower or a signal reads."""
        return max(self.user.history_length, self.ranker.events_read)
