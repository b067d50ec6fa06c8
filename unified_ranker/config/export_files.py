"""The files of export/: serving.yaml and embeddings.yaml."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from unified_ranker.config.declaration import Declaration
from unified_ranker.config.kinds import OneOf


class Serving(Declaration):
    """export/serving.yaml: the SavedModel and its warm-up records."""

    warmup_requests: int = Field(64, ge=0, le=1000)
    """Recorded requests with which a model server warms up, of all tasks and signatures together."""
    warmup_batch_sizes: tuple[int, ...] = (1, 8, 32)
    """Requests in a warm-up batch; those of serving_config/batching.txt."""


class UserVectorExport(Declaration):
    """Vectors of users: the query embedding of a user who has typed no query."""

    task: str | None = None
    """Surface whose query vector is a user's vector; null: `home_feed`, or else the first task."""
    batch_size: int = Field(256, ge=1)
    """Users in one call of the model."""


class QueryVectorExport(Declaration):
    """Vectors of the most frequent queries of the log, for an unknown user."""

    task: str | None = None
    """Surface on which queries are encoded; null: `search`, if it is declared."""
    most: int = Field(1000, ge=0)
    """Most frequent queries of the log that are exported."""


class VectorStore(Declaration):
    """Store that vectors are published in, and its copy for offline use."""

    place: str = "vectors"
    """Directory, relative to the project, or `redis://host:port/database`."""
    keep: int = Field(3, ge=0)
    """Earlier versions that are kept for `store rollback`."""
    offline: Path | None = None
    """Directory of a Delta Lake copy, which needs the package `deltalake`; null: none."""


class Guards(Declaration):
    """Limits of the checks that stop a new version of the vectors from being published."""

    duplicate_vectors: float = Field(0.1, ge=0, le=1)
    """Share of the vectors that may equal another entry's."""
    lost: float = Field(0.05, ge=0, le=1)
    """Share of the published ids that may be missing."""
    norm_change: float = Field(0.1, ge=0)
    """Relative change of a vector's length that counts as changed."""
    norms: float = Field(0.05, ge=0, le=1)
    """Share of the vectors that may change their length by more than `norm_change`."""
    neighbours: float = Field(0.9, ge=0, le=1)
    """Mean share of the ten nearest items that may be others than before."""


class Embeddings(Declaration):
    """export/embeddings.yaml: item vectors, the index over them, and the store that other teams read."""

    batch_size: int = Field(1024, ge=1)
    """Items in one call of the model."""
    index: Annotated[Any, OneOf("unified_ranker.release.indexes.base:INDEXES")] = Field({"type": "auto"})
    """Index over the item vectors: `auto`, `exact` or `scann`."""
    users: UserVectorExport = UserVectorExport()
    """Vectors of users."""
    queries: QueryVectorExport = QueryVectorExport()
    """Vectors of queries."""
    store: VectorStore = VectorStore()
    """Store of vectors."""
    guards: Guards = Guards()
    """Checks of a new version of the store."""


class Export(Declaration):
    """The files of export/."""

    serving: Serving = Serving()
    """export/serving.yaml."""
    embeddings: Embeddings = Field(default_factory=Embeddings)
    """export/embeddings.yaml."""
