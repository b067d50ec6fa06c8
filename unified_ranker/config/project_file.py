"""project.yaml: which data, which split, how long to train, which seed."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from unified_ranker.config.declaration import Declaration


class MovieLensSource(Declaration):
    """MovieLens 100K, fetched through PyPI or read from GroupLens' own archive."""

    type: Literal["movielens"]
    path: Path | None = None


class TablesSource(Declaration):
    """Parquet or CSV tables in the form of the interaction log (design section 3).

    Bad rows are put aside and counted; above `max_bad_share` of the events they stop the job. `duplicates` says whether
    an event that is there twice, in all of its columns, counts once.
    """

    type: Literal["tables"]
    events: Path
    items: Path
    users: Path | None = None
    max_bad_share: float = Field(0.0, ge=0, lt=1)
    duplicates: Literal["drop", "keep"] = "drop"


class SplitShares(Declaration):
    """Temporal split by quantiles of labelled-event times (design section 4)."""

    train: float = Field(0.8, gt=0, lt=1)
    validation: float = Field(0.1, ge=0, lt=1)
    fit_on: Literal["train", "train_and_validation"] = "train_and_validation"

    @model_validator(mode="after")
    def _leaves_a_test_slice(self) -> "SplitShares":
        if self.train + self.validation >= 1:
            raise ValueError(
                f"`train` + `validation` must be below 1. Received: {self.train} + {self.validation}. "
                "Lower one, so that a test slice is left."
            )
        return self


class TrainingSettings(Declaration):
    """The training job. `batch_examples` counts labelled events, `learning_rate` is AdamW's peak.

    `seed` is of weights and batches; the project's own, unless given.

    The head learns from `ranking_examples` of a batch: drawn alike at a `ranking_balance` of 0, equally many of each
    task at 1.

    `older_windows` is the share of a user's windows that an epoch takes besides the last one, which it always takes:
    below 1 it learns more from what users do now (papers on sliding windows: arXiv 2409.14517, section 3).

    `strategy` spreads it (`tf.distribute`); `shard_examples` is how many looked-up examples stay in memory at most:
    more are read from shards on disk.
    """

    epochs: int = Field(10, ge=1)
    batch_examples: int = Field(2048, ge=8)
    learning_rate: float = Field(3e-3, gt=0)
    weight_decay: float = Field(1e-4, ge=0)
    warmup_share: float = Field(0.1, ge=0, lt=1)
    clip_norm: float = Field(1.0, gt=0)
    temperature: float = Field(0.07, gt=0, le=1)
    ranking_examples: int = Field(256, ge=8)
    ranking_candidates: int = Field(24, ge=2)
    ranking_balance: float = Field(0.5, ge=0, le=1)
    older_windows: float = Field(1.0, ge=0, le=1)
    threads: int = Field(0, ge=0)
    seed: int | None = Field(None, ge=0)
    strategy: Literal["one_device", "mirrored", "multi_worker"] = "one_device"
    shard_examples: int = Field(2_000_000, ge=1)


class EvaluationSettings(Declaration):
    """How a slice is measured: which, requests per task, bootstrap samples.

    Settings are chosen on `validation`, with a model that was fitted on `train` alone; `test` is for the final numbers.
    """

    part: Literal["validation", "test"] = "test"
    requests_per_task: int = Field(3000, ge=1)
    bootstrap_samples: int = Field(1000, ge=100)


class Project(Declaration):
    """project.yaml: which data, which declarations, which seed."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    description: str = ""
    data: Annotated[MovieLensSource | TablesSource, Field(discriminator="type")]
    seed: int = Field(7, ge=0)
    split: SplitShares = SplitShares()
    training: TrainingSettings = TrainingSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    work_dir: Path = Path(".unified_ranker")
    releases_dir: Path = Path("releases")
    samples: dict[str, str] = Field(default_factory=dict)

    @property
    def training_seed(self) -> int:
        """The seed of weights and batches."""
        return self.seed if self.training.seed is None else self.training.seed

    @model_validator(mode="after")
    def _measures_what_it_did_not_learn(self) -> "Project":
        if self.evaluation.part == "validation" and self.split.fit_on != "train":
            raise ValueError(
                "`evaluation.part: validation` measures a model that was fitted on the train slice alone. Received: "
                f"`split.fit_on: {self.split.fit_on}`. Set `project.split.fit_on=train`."
            )
        return self
