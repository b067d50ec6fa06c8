"""Answers from a release without a server: one request, or a table of them."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unified_ranker.config import Config
from unified_ranker.data.quality import NEVER
from unified_ranker.errors import unknown_name
from unified_ranker.export.items import read_catalogue, read_items
from unified_ranker.export.release import Layout, read_manifest
from unified_ranker.export.requests import Arrays, Request, to_arrays
from unified_ranker.tasks.engagement import engaged_items

logger = logging.getLogger(__name__)

BATCH = 64

Predict = Callable[[str, Arrays], Arrays]
"""Runs a signature of the served model: its name and inputs to its outputs."""


@dataclass(frozen=True)
class Answered:
    """One recommended item, best first within its request; `heads` are probabilities by head."""

    item_id: str
    title: str
    score: float
    retrieval_score: float
    heads: dict[str, float]


@dataclass(frozen=True)
class Answer:
    """The answer to one request."""

    imputed_query: str
    items: tuple[Answered, ...]


class Recommender:
    """Encode, retrieve exactly over the release's vectors, rank: the stages of the service, in batches."""

    def __init__(self, release: Path, predict: Predict | None = None) -> None:
        """Open a release; `predict` runs the model, by default loaded into this process."""
        self.manifest = read_manifest(release)
        self.config = Config.model_validate(self.manifest["config"])
        layout = Layout(release)
        self.item_ids, self.vectors = read_items(layout.items)
        catalogue = read_catalogue(layout.catalogue)
        self.titles = catalogue["title"].fillna("").to_numpy(object)
        created = catalogue["created_at"].to_numpy("datetime64[s]")
        self.created_at = np.where(np.isnat(created), NEVER, created.astype(np.int64))
        self._place = {item: i for i, item in enumerate(self.item_ids)}
        self._predict = predict or load_predict(layout.saved_model())

    def answer(self, requests: Sequence[Request]) -> Iterator[Answer]:
        """Answer requests in their order. A limit of 0 means the task's own.

        Raises:
            UserError: when a request's task is not one of the release.
        """
        for request in requests:
            if request.task not in self.config.tasks:
                raise unknown_name("task", request.task, self.config.tasks)
        for start in range(0, len(requests), BATCH):
            yield from self._answer(requests[start : start + BATCH])

    def _answer(self, requests: Sequence[Request]) -> list[Answer]:
        encoded = self._predict("encode", to_arrays(requests, self.config.towers.user.history_length))
        scores = encoded["query_vector"] @ self.vectors.T
        scores[~self._allowed(requests)] = -np.inf
        wanted = [self._limit(request) for request in requests]
        counts = [
            max(self.config.tasks[r.task].serving.candidates, limit) for r, limit in zip(requests, wanted, strict=True)
        ]
        width = min(max(counts), scores.shape[1])
        order = np.argsort(-scores, axis=1, kind="stable")[:, :width]
        states = {name: value for name, value in encoded.items() if name.startswith("state_")}
        ranked = self._predict("rank_encoded", {**states, "candidate_ids": self.item_ids[order]})
        queries = [q.decode() if isinstance(q, bytes) else str(q) for q in encoded["imputed_query"]]
        return [
            Answer(queries[row], self._items(row, order[row], scores, ranked, counts[row], wanted[row]))
            for row in range(len(requests))
        ]

    def _items(
        self, row: int, order: np.ndarray, scores: np.ndarray, ranked: Arrays, count: int, limit: int
    ) -> tuple[Answered, ...]:
        """Put the first `count` candidates of a request in the ranker's order and keep `limit` of them."""
        columns = np.flatnonzero(np.isfinite(scores[row, order]))[:count]
        best = columns[np.argsort(-ranked["score"][row, columns], kind="stable")][:limit]
        heads = [name for name in ranked if name not in ("score", "retrieval_score")]
        return tuple(
            Answered(
                item_id=str(self.item_ids[order[column]]),
                title=str(self.titles[order[column]]),
                score=float(ranked["score"][row, column]),
                retrieval_score=float(ranked["retrieval_score"][row, column]),
                heads={name: float(ranked[name][row, column]) for name in heads},
            )
            for column in best
        )

    def _allowed(self, requests: Sequence[Request]) -> np.ndarray:
        """Return the candidates `[batch, items]`: they exist, are not source or query item, nor engaged with."""
        times = np.array([r.timestamp or np.iinfo(np.int64).max for r in requests])
        allowed = self.created_at[None] <= times[:, None]
        for row, request in enumerate(requests):
            banned = {request.source_item_id, request.query_item_id}
            earlier = request.history.before(request.timestamp)
            banned |= engaged_items(request.task, self.config.tasks[request.task], earlier)
            allowed[row, [self._place[item] for item in banned if item in self._place]] = False
        return allowed

    def _limit(self, request: Request) -> int:
        return request.limit or self.config.tasks[request.task].serving.limit


def load_predict(saved_model: Path) -> Predict:
    """Load a SavedModel into this process and return what runs its signatures."""
    from unified_ranker.tensorflow import tf

    loaded = tf.saved_model.load(str(saved_model), tags=["serve"])

    def predict(signature: str, arrays: Arrays) -> Arrays:
        run = loaded.signatures[signature]
        outputs = run(**{name: tf.constant(array) for name, array in arrays.items()})
        return {name: value.numpy() for name, value in outputs.items()}

    predict.model = loaded  # type: ignore[attr-defined]  # keeps the variables alive
    return predict
