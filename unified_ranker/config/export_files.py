"""The files of export/: serving.yaml and embeddings.yaml."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from unified_ranker.config.declaration import Declaration


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


class UserVectorExport(Declaration):
    """Vectors of users: what the model asks the catalogue for a user with no query, on the surface `task`.

    Without a task, on `home_feed` where it is declared, else on the first one.
    """

    task: str | None = None
    batch_size: int = Field(256, ge=1)


class QueryVectorExport(Declaration):
    """Vectors of the `most` frequent queries of the log, on the surface `task` (without: `search`, if declared)."""

    task: str | None = None
    most: int = Field(1000, ge=0)


class VectorStore(Declaration):
    """Where vectors are published, and how many earlier versions stay.

    `place` is a directory, relative to the project, or `redis://host:port/database`. `offline` is the directory of the
    Delta Lake copy; null: none.
    """

    place: str = "vectors"
    keep: int = Field(3, ge=0)
    offline: Path | None = Path("vectors.delta")


class Guards(Declaration):
    """Shares above which a new version is not published; `unified_ranker.store.Limits` says of what."""

    duplicate_vectors: float = Field(0.1, ge=0, le=1)
    lost: float = Field(0.05, ge=0, le=1)
    norm_change: float = Field(0.1, ge=0)
    norms: float = Field(0.05, ge=0, le=1)
    neighbours: float = Field(0.9, ge=0, le=1)


class Embeddings(Declaration):
    """export/embeddings.yaml: item vectors, the index over them, and the store that other teams read."""

    batch_size: int = Field(1024, ge=1)
    index: Annotated[AutoIndex | ExactIndex | ScannIndex, Field(discriminator="type")] = AutoIndex()
    users: UserVectorExport = UserVectorExport()
    queries: QueryVectorExport = QueryVectorExport()
    store: VectorStore = VectorStore()
    guards: Guards = Guards()


class Export(Declaration):
    """The files of export/."""

    serving: Serving = Serving()
    embeddings: Embeddings = Embeddings()
