"""What a project declares, as frozen models: one class per file or block of the declarations.

`declarations.py` reads the YAML files into these and words the errors. Every object forbids unknown keys, and every
choice between kinds is a discriminated union on `type`, so that an error can name what is allowed.
"""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

RESERVED_OUTPUTS = frozenset({"score", "retrieval_score"})
"""Output names of the served ranker that no head may take (design section 5)."""


class Declaration(BaseModel):
    """Base of all declarations: immutable, unknown keys refused, defaults checked too."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)


class MovieLensSource(Declaration):
    """MovieLens 100K, fetched through PyPI or read from GroupLens' own archive."""

    type: Literal["movielens"]
    path: Path | None = None


class TablesSource(Declaration):
    """Parquet or CSV tables in the form of the interaction log (design section 3)."""

    type: Literal["tables"]
    events: Path
    items: Path
    users: Path | None = None


class Split(Declaration):
    """Temporal split by quantiles of labelled-event times (design section 4)."""

    train: float = Field(0.8, gt=0, lt=1)
    validation: float = Field(0.1, ge=0, lt=1)
    fit_on: Literal["train", "train_and_validation"] = "train_and_validation"

    @model_validator(mode="after")
    def _leaves_a_test_slice(self) -> "Split":
        if self.train + self.validation >= 1:
            raise ValueError(
                f"`train` + `validation` must be below 1. Received: {self.train} + {self.validation}. "
                "Lower one, so that a test slice is left."
            )
        return self


class Training(Declaration):
    """The training job. `batch_examples` counts labelled events, `learning_rate` is AdamW's peak."""

    epochs: int = Field(10, ge=1)
    batch_examples: int = Field(2048, ge=8)
    learning_rate: float = Field(3e-3, gt=0)
    weight_decay: float = Field(1e-4, ge=0)
    warmup_share: float = Field(0.1, ge=0, lt=1)
    clip_norm: float = Field(1.0, gt=0)
    temperature: float = Field(0.07, gt=0, le=1)
    ranking_examples: int = Field(256, ge=8)
    ranking_candidates: int = Field(24, ge=2)
    threads: int = Field(0, ge=0)


class Evaluation(Declaration):
    """How the test slice is measured: requests per task, bootstrap samples."""

    requests_per_task: int = Field(3000, ge=1)
    bootstrap_samples: int = Field(1000, ge=100)


class Project(Declaration):
    """project.yaml: which data, which declarations, which seed."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    description: str = ""
    data: Annotated[MovieLensSource | TablesSource, Field(discriminator="type")]
    seed: int = Field(7, ge=0)
    split: Split = Split()
    training: Training = Training()
    evaluation: Evaluation = Evaluation()
    work_dir: Path = Path(".unified_ranker")
    releases_dir: Path = Path("releases")
    samples: dict[str, str] = {}


class TextFeature(Declaration):
    """A text column, read by the shared text encoder."""

    type: Literal["text"]
    column: str


class CategoryFeature(Declaration):
    """A column with one category a row; values seen fewer than `min_count` times are unknown."""

    type: Literal["category"]
    column: str
    min_count: int = Field(1, ge=1)


class CategoriesFeature(Declaration):
    """A column that holds a list of categories."""

    type: Literal["categories"]
    column: str
    min_count: int = Field(1, ge=1)


class NumberFeature(Declaration):
    """A numeric column, standardised; `log` takes log1p first. An absent value has its own indicator."""

    type: Literal["number"]
    column: str
    log: bool = False


ItemFeature = Annotated[TextFeature | CategoryFeature | CategoriesFeature | NumberFeature, Field(discriminator="type")]
UserFeature = Annotated[CategoryFeature | NumberFeature, Field(discriminator="type")]


class Popularity(Declaration):
    """log1p of the item's positives strictly before, over that of the most popular item.

    `window_days` counts those in that many days before only; `event_types` counts these events instead of positives.
    """

    type: Literal["popularity"]
    window_days: float | None = Field(None, gt=0)
    event_types: tuple[str, ...] | None = None


class MeanValue(Declaration):
    """Mean `value` of the item's events strictly before, shrunk to the mean of all by `prior` events."""

    type: Literal["mean_value"]
    prior: float = Field(10.0, gt=0)


class Freshness(Declaration):
    """exp(-age / `scale_days`), from `created_at`; 0 where the creation time is absent."""

    type: Literal["freshness"]
    scale_days: float = Field(30.0, gt=0)


QualityFeature = Annotated[Popularity | MeanValue | Freshness, Field(discriminator="type")]


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
    quality: dict[str, QualityFeature] = {}

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
    """towers/user.yaml: how long a history, how it is encoded, which profile columns join it."""

    history_length: int = Field(100, ge=2)
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
    """In-batch positives plus `uniform` items of the catalogue, corrected by log-Q; `hard` keeps only the hardest."""

    type: Literal["sampled"]
    uniform: int = Field(1024, ge=0)
    hard: int | None = Field(None, ge=1)


Negatives = Annotated[AllItems | SampledItems, Field(discriminator="type")]


class TaskServing(Declaration):
    """How the surface is served: candidates that retrieval hands to the ranker, and the default answer length."""

    candidates: int = Field(500, ge=1)
    limit: int = Field(10, ge=1)


class Task(Declaration):
    """A file of tasks/: one surface."""

    description: str = ""
    positives: tuple[Positive, ...] = Field(min_length=1)
    derived: bool = False
    first_engagement_only: bool = False
    exclude_engaged: bool = False
    imputation: Imputation = Imputation()
    negatives: Negatives = AllItems(type="all_items")
    weight: float = Field(1.0, gt=0)
    ranking_weight: float = Field(1.0, ge=0)
    quality_weights: dict[str, float] = {}
    score: dict[str, float] = {}
    serving: TaskServing = TaskServing()

    @property
    def heads(self) -> tuple[str, ...]:
        """Names of the heads that this task trains, in order of declaration."""
        return tuple(dict.fromkeys(p.head_name for p in self.positives))


class Serving(Declaration):
    """export/serving.yaml: the SavedModel and its warm-up records."""

    warmup_requests: int = Field(64, ge=0, le=1000)
    warmup_batch_sizes: tuple[int, ...] = (1, 8, 32)


class ExactIndex(Declaration):
    """Exact search: right below about 20,000 items."""

    type: Literal["exact"]


class ScannIndex(Declaration):
    """ScaNN: partition, score by hashed residuals, reorder exactly. Absent sizes follow the catalogue's."""

    type: Literal["scann"]
    leaves: int | None = Field(None, ge=1)
    leaves_to_search: int | None = Field(None, ge=1)
    reorder: int = Field(300, ge=1)


class AutoIndex(Declaration):
    """Exact below `scann_from` items, ScaNN from there on."""

    type: Literal["auto"] = "auto"
    scann_from: int = Field(20_000, ge=1)


class Embeddings(Declaration):
    """export/embeddings.yaml: item vectors and the index over them."""

    batch_size: int = Field(1024, ge=1)
    index: Annotated[AutoIndex | ExactIndex | ScannIndex, Field(discriminator="type")] = AutoIndex()


class Export(Declaration):
    """The files of export/."""

    serving: Serving = Serving()
    embeddings: Embeddings = Embeddings()


class Config(Declaration):
    """A whole project: project.yaml, towers/, tasks/ and export/."""

    project: Project
    towers: Towers = Towers()
    tasks: dict[str, Task] = Field(min_length=1)
    export: Export = Export()

    @property
    def heads(self) -> tuple[str, ...]:
        """All head names, in order of the tasks."""
        return tuple(dict.fromkeys(h for t in self.tasks.values() for h in t.heads))

    @property
    def query_dim(self) -> int:
        """Width of query and item vectors: embedding plus quality."""
        return self.towers.item.dim + len(self.towers.item.quality)

    def to_json(self) -> dict:
        """Return the full configuration, defaults included, as JSON values."""
        return self.model_dump(mode="json")

    def digest(self, *parts: str) -> str:
        """Return the SHA-256 (first 16 hex digits) of the named parts, such as "tasks", or of everything.

        A part is a dotted path into the configuration; stages hash only what they depend on.
        """
        tree = self.to_json()
        chosen = {p: _descend(tree, p) for p in parts} if parts else dict(tree)
        if not parts or "towers" in parts:
            # Keys are sorted, but the order of the quality features is that of the vector's columns.
            chosen["quality_order"] = list(self.towers.item.quality)
        return hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()[:16]


def _descend(tree: dict, path: str) -> object:
    node: object = tree
    for key in path.split("."):
        node = node[key]  # type: ignore[index]
    return node
