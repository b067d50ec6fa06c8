"""The files of export/: serving.yaml and embeddings.yaml."""

from typing import Annotated, Literal

from pydantic import Field

from unified_ranker.config.base import Declaration


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
    reorder: int = Field(550, ge=1)


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
