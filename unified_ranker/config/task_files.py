"""A file of tasks/: one surface."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from unified_ranker.config.declaration import Declaration

RESERVED_OUTPUTS = frozenset({"score", "retrieval_score"})
"""Output names of the served ranker that no head may take (design section 5)."""


class Positive(Declaration):
    """Which events count as engagement: their type, a least `value`, their weight and the head that predicts them."""

    event_type: str
    min_value: float | None = None
    weight: float = Field(1.0, gt=0)
    head: str | None = Field(None, pattern=r"^[a-z][a-z0-9_]*$")

    @property
    def head_name(self) -> str:
        """The ranking head that predicts this event; the event type itself unless named."""
        return self.head or self.event_type

    @model_validator(mode="after")
    def _head_is_no_output(self) -> "Positive":
        if self.head_name in RESERVED_OUTPUTS:
            raise ValueError(
                f"a head may not be called {', '.join(sorted(RESERVED_OUTPUTS))}. Received: `{self.head_name}`. "
                "Set `head` to another name."
            )
        return self


class Imputation(Declaration):
    """How a missing field of the request is filled, in training and serving alike (UniCoRn, section 2)."""

    query: Literal["none", "source_item_title"] = "none"
    source_item: Literal["none", "last_history_item"] = "none"
    country: Literal["none", "user"] = "user"


class AllItems(Declaration):
    """Softmax over the whole catalogue: for catalogues below about 20,000 items."""

    type: Literal["all_items"]


class SampledItems(Declaration):
    """In-batch positives plus `uniform` items of the catalogue, corrected by log-Q; `hard` keeps only the hardest.

    With `hard_after` that begins after this share of the training: until then all count. Over `hard_ramp`, a share too,
    the loss over all falls from its whole weight to none, while that over the hardest rises (Etsy, arXiv 2306.04833,
    section 3.3: warm-up on uniform negatives, then a linear ramp).
    """

    type: Literal["sampled"]
    uniform: int = Field(1024, ge=0)
    hard: int | None = Field(None, ge=1)
    hard_after: float = Field(0.0, ge=0, lt=1)
    hard_ramp: float = Field(0.0, ge=0, le=1)

    @property
    def ramps(self) -> bool:
        """Whether the hardest alone count only later in training."""
        return self.hard is not None and self.hard_after + self.hard_ramp > 0

    @model_validator(mode="after")
    def _ramp_fits(self) -> "SampledItems":
        if self.hard is None and self.hard_after + self.hard_ramp > 0:
            raise ValueError(
                "`hard_after` and `hard_ramp` say when `hard` begins. "
                f"Received: {self.hard_after:g} and {self.hard_ramp:g} without `hard`. Set `hard`, or leave them out."
            )
        if self.hard_after + self.hard_ramp > 1:
            raise ValueError(
                "`hard_after` + `hard_ramp` are shares of one training and must not exceed 1. "
                f"Received: {self.hard_after:g} + {self.hard_ramp:g}. Lower one."
            )
        return self


Negatives = Annotated[AllItems | SampledItems, Field(discriminator="type")]


class TaskServing(Declaration):
    """How the surface is served: candidates that retrieval hands to the ranker, and the default answer length.

    `sources` are the signals of towers/ranker.yaml that propose candidates beside the two towers; all when absent.
    """

    candidates: int = Field(500, ge=1)
    limit: int = Field(10, ge=1)
    sources: tuple[str, ...] | None = None

    @model_validator(mode="after")
    def _answers_are_candidates(self) -> "TaskServing":
        if self.limit > self.candidates:
            raise ValueError(
                f"`limit` must not exceed `candidates`, which are all that is ranked. Received: {self.limit} and "
                f"{self.candidates}. Lower one, or raise the other."
            )
        return self


class Task(Declaration):
    """A file of tasks/: one surface.

    `quality_weights` weigh the quality vector in retrieval, by feature; `learnt` trains them on the ranker's candidates
    instead, to compare with: fitted after training (`tune-quality`) they are of the catalogue, not of a sample.
    `ranking_strength` is how much of what the ranking head adds to retrieval counts once it is trained: below 1 for a
    surface whose few examples make the head too sure (`tune-quality` fits it). `ranking_crosses` is whether the head
    sees crossed features: a surface with few examples may be better without, while the others keep theirs.
    """

    description: str = ""
    positives: tuple[Positive, ...] = Field(min_length=1)
    derived: bool = False
    first_engagement_only: bool = False
    exclude_engaged: bool = False
    imputation: Imputation = Imputation()
    negatives: Negatives = AllItems(type="all_items")
    weight: float = Field(1.0, gt=0)
    ranking_weight: float = Field(1.0, ge=0)
    ranking_strength: float = Field(1.0, ge=0, le=2)
    ranking_crosses: bool = True
    quality_weights: dict[str, float] | Literal["learnt"] = Field(default_factory=dict)
    score: dict[str, float] = Field(default_factory=dict)
    serving: TaskServing = TaskServing()

    @property
    def heads(self) -> tuple[str, ...]:
        """Names of the heads that this task trains, in order of declaration."""
        return tuple(dict.fromkeys(p.head_name for p in self.positives))
