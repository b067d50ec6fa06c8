"""A file of tasks/: one surface."""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from unified_ranker.config.declaration import Declaration
from unified_ranker.config.kinds import OneOf
from unified_ranker.core.signature_names import RESERVED_OUTPUTS


class Positive(Declaration):
    """A kind of event that counts as engagement."""

    event_type: str
    """Kind of event that counts as engagement."""
    min_value: float | None = None
    """Least `value` of the event, such as 4 of ratings up to 5; null: any."""
    above: float | None = None
    """`value` that the event must exceed, such as 0 of amounts with returns; null: any."""
    unrated: bool = False
    """Whether events without a `value`, or with 0, count beside those with a sufficient one: books that were read and
    not rated."""
    weight: float = Field(1.0, gt=0)
    """Weight of this kind of event in training."""
    head: str | None = Field(None, pattern=r"^[a-z][a-z0-9_]*$")
    """Name of the head that predicts it; null: the event type. Tasks that name the same head share it."""

    @property
    def head_name(self) -> str:
        """The ranking head that predicts this event; the event type itself unless named."""
        return self.head or self.event_type

    @property
    def sufficient_value(self) -> float | None:
        """A value with which the event counts; None: it counts without one."""
        return self.min_value if self.above is None else self.above + 1

    @model_validator(mode="after")
    def _has_one_bound(self) -> "Positive":
        if self.min_value is not None and self.above is not None:
            raise ValueError("`min_value` and `above` are two bounds of one value. Received: both. Keep one")
        if self.unrated and self.min_value is None and self.above is None:
            raise ValueError(
                "`unrated` adds events to those with a sufficient value. Received: neither `min_value` nor `above`, so "
                "all count already. Remove it"
            )
        return self

    @model_validator(mode="after")
    def _head_is_no_output(self) -> "Positive":
        if self.head_name in RESERVED_OUTPUTS:
            raise ValueError(
                f"a head may not be called {', '.join(sorted(RESERVED_OUTPUTS))}. Received: `{self.head_name}`. "
                "Set `head` to another name."
            )
        return self


class Imputation(Declaration):
    """Rules that fill missing fields of a request, the same in training and serving (UniCoRn, section 2)."""

    query: Literal["none", "source_item_title"] = "none"
    """Value of a missing query."""
    source_item: Literal["none", "last_history_item"] = "none"
    """Value of a missing source item."""
    country: Literal["none", "user"] = "user"
    """Value of a missing country."""


class TaskServing(Declaration):
    """Serving settings of a surface."""

    candidates: int = Field(500, ge=1)
    """Candidates that retrieval hands to the ranker."""
    limit: int = Field(10, ge=1)
    """Items of an answer, if the request has no limit."""
    sources: tuple[str, ...] | None = None
    """Signals that propose candidates beside the two towers; null: all of towers/ranker.yaml."""

    @model_validator(mode="after")
    def _answers_are_candidates(self) -> "TaskServing":
        if self.limit > self.candidates:
            raise ValueError(
                f"`limit` must not exceed `candidates`, which are all that is ranked. Received: {self.limit} and "
                f"{self.candidates}. Lower one, or raise the other."
            )
        return self


class Task(Declaration):
    """A file of tasks/: one surface."""

    description: str = ""
    """One line for the reader of a report."""
    positives: tuple[Positive, ...] = Field(min_length=1)
    """Events that count as engagement on this surface."""
    refusals: tuple[str, ...] = ()
    """Event types by which users refuse an item, on any surface. In training the ranking head compares what was chosen
    with the items that the same user had refused before; each counts as much as a random item that stands for many."""
    derived: bool = False
    """Whether a rule made the events instead of users; reports mark the task."""
    first_engagement_only: bool = False
    """Whether only a user's first engagement with an item counts; each head learns from the first of its own."""
    exclude_engaged: bool = False
    """Whether items that the user has engaged with are no candidates."""
    imputation: Imputation = Imputation()
    """Rules that fill missing fields of a request."""
    negatives: Annotated[Any, OneOf("unified_ranker.tasks.objectives.base:OBJECTIVES")] = Field({"type": "all_items"})
    """Negatives that positives are compared with in the softmax of retrieval."""
    weight: float = Field(1.0, gt=0)
    """Weight of the task in the loss of retrieval."""
    ranking_weight: float = Field(1.0, ge=0)
    """Weight of the task in the loss of the ranking head."""
    ranking_strength: float = Field(1.0, ge=0, le=2)
    """Weight of the ranking head's part of the score, beside that of retrieval. Set it below 1 where a head is trained
    on few examples and over-confident (`tune-quality` fits it)."""
    ranking_crosses: bool = True
    """Whether the head reads crossed features; set it to false for a task with few examples, which they overfit."""
    quality_weights: dict[str, float] = Field(default_factory=dict)
    """Weight of each quality feature in retrieval, at most about 1, the scale of a cosine (`tune-quality` fits it)."""
    score: dict[str, float] = Field(default_factory=dict)
    """Value of each head's event in the final score, which adds values times probabilities; heads that are left out
    have value 0. Empty: all heads of the task have value 1."""
    serving: TaskServing = TaskServing()
    """Serving settings of a surface."""

    @field_validator("quality_weights", mode="before")
    @classmethod
    def _declared(cls, given: object) -> object:
        if given == "learnt":
            raise ValueError(
                "must hold a weight for each quality feature: `learnt` is gone, because trained weights never did "
                "better than declared ones (docs/records/quality-weights-learnt.md). `tune-quality` fits weights"
            )
        return given

    @model_validator(mode="after")
    def _refusals_are_no_positives(self) -> "Task":
        both = sorted({kind.event_type for kind in self.positives} & set(self.refusals))
        if both:
            raise ValueError(
                f"`refusals` and `positives` must differ in their event types. Received: `{both[0]}` in both. "
                "Remove it from one."
            )
        return self

    @property
    def heads(self) -> tuple[str, ...]:
        """Names of the heads that this task trains, in order of declaration."""
        return tuple(dict.fromkeys(p.head_name for p in self.positives))
