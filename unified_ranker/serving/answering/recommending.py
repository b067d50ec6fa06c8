"""Answers from a release: encode, retrieve, rank; for the service, for one request, or for a table of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from unified_ranker.core.arrays import MISSING, Arrays, Floats, Ints
from unified_ranker.core.request import Request, to_arrays
from unified_ranker.core.signature_names import (
    CANDIDATE_IDS,
    CANDIDATE_INDICES,
    ENCODE,
    ENCODE_LIVE,
    LIVE_ROW,
    LIVE_TITLES,
    LIVE_VECTORS,
    POPULARITY_NOW,
    RANK_ENCODED,
    RANK_KNOWN,
    RANK_LIVE,
    RANK_TITLED,
    TRENDING_INDICES,
)
from unified_ranker.serving.answering.live_imputation import with_live_title
from unified_ranker.serving.answering.model_outputs import NOTHING_RANKED, CandidateOutputs, EncodedRequests
from unified_ranker.serving.answering.opened_release import OpenedRelease
from unified_ranker.serving.answering.request_rule import RequestRule
from unified_ranker.serving.answering.stored_popularity import Popularity
from unified_ranker.serving.retrieval.highest import highest

if TYPE_CHECKING:
    import pandas as pd

Predict = Callable[[str, Arrays], Arrays]
"""Runs a signature of the served model: its name and inputs to its outputs."""

Retrieve = Callable[[np.ndarray, Sequence[RequestRule]], list[Ints]]
"""Finds candidates: query vectors `[batch, width]` and the requests' rules to positions of items, best first."""


@dataclass(frozen=True)
class Answered:
    """One recommended item, best first within its request.

    `heads` are probabilities by head, `quality` the features of its quality vector, as stored.
    """

    item_id: str
    title: str
    score: float
    retrieval_score: float
    heads: dict[str, float]
    quality: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """The answer to one request.

    Attributes:
        imputed_query: the query that was used, given or imputed; "" for none.
        items: best first.
    """

    imputed_query: str
    items: tuple[Answered, ...]

    def to_frame(self) -> "pd.DataFrame":
        """Return the items as a `pandas.DataFrame` `[items]`, with a column for each head.

        Example:
            answer = Recommender("shop/releases/latest").recommend(task="home_feed", user_id="u1")
            answer.to_frame()[["item_id", "title", "score"]]
        """
        import pandas as pd

        names = ("item_id", "title", "score", "retrieval_score")
        rows = [{**{name: getattr(item, name) for name in names}, **item.heads} for item in self.items]
        return pd.DataFrame(rows, columns=None if rows else list(names))


def answer_batch(
    release: OpenedRelease, requests: Sequence[Request], predict: Predict, retrieve: Retrieve
) -> list[Answer]:
    """Answer requests of known tasks: every one is encoded once, for retrieval and ranking alike.

    Raises:
        ModelOutputError: see `encode_batch` and `rank_candidates`.
    """
    requests = [release.timed(request) for request in requests]
    encoded = encode_batch(release, requests, predict)
    rules = [RequestRule(release, request) for request in requests]
    found = retrieve(encoded.query_vectors, rules)
    candidates = [rule.with_proposals(found[row], encoded.proposed[row]) for row, rule in enumerate(rules)]
    ranked = rank_candidates(release, requests, candidates, encoded, predict)
    return [
        Answer(encoded.queries[row], best_items(release, candidates[row], ranked[row], release.limit(request)))
        for row, request in enumerate(requests)
    ]


def encode_batch(release: OpenedRelease, requests: Sequence[Request], predict: Predict) -> EncodedRequests:
    """Encode requests once, for retrieval and ranking.

    Raises:
        ModelOutputError: query vectors that are not finite, or do not fit the item vectors.
    """
    requests = [with_live_title(release, request) for request in requests]
    arrays = to_arrays(requests, release.config.towers.events_read, release.config.towers.user.history_events)
    if release.popularity is None:
        return EncodedRequests.of(release, len(requests), predict(ENCODE, arrays))
    trending = release.popularity.trending(_times(release, requests))
    return EncodedRequests.of(release, len(requests), predict(ENCODE_LIVE, {**arrays, TRENDING_INDICES: trending}))


def rank_candidates(
    release: OpenedRelease,
    requests: Sequence[Request],
    candidates: list[Ints],
    encoded: EncodedRequests,
    predict: Predict,
) -> list[CandidateOutputs]:
    """Score the candidates of each request; without any candidate the model is not called.

    Candidates are sent by their indices in the release's catalogue. Where some were added since, which the model does
    not know, all are sent by their ids, with the vectors of those; so are all for the models of earlier releases.
    Popularity as of the requests is sent, too, where the release has its counts.

    Raises:
        ModelOutputError: the model's numbers are not finite.
    """
    counts = [len(positions) for positions in candidates]
    width = max(counts)
    if width == 0:
        return [NOTHING_RANKED for _ in candidates]
    foreign = [release.foreign_at(positions) for positions in candidates]
    most = max(int(known.sum()) for known in foreign)
    inputs = dict(encoded.states)
    if release.popularity is not None:
        inputs[POPULARITY_NOW] = _popularity(release.popularity, release, requests, candidates)
    # After a rebuild of the index, positions are no longer those of the release's catalogue.
    if not most and release.foreign is None and RANK_KNOWN in release.manifest.signatures:
        inputs[CANDIDATE_INDICES] = np.full((len(candidates), width), MISSING, np.int64)
        for row, positions in enumerate(candidates):
            inputs[CANDIDATE_INDICES][row, : len(positions)] = positions
        return CandidateOutputs.of(counts, predict(RANK_KNOWN, inputs))
    ids = np.full((len(candidates), width), "", object)
    for row, positions in enumerate(candidates):
        ids[row, : len(positions)] = release.ids_at(positions)
    inputs[CANDIDATE_IDS] = ids
    if not most and release.popularity is None:
        return CandidateOutputs.of(counts, predict(RANK_ENCODED, inputs))
    live_row = np.full(ids.shape, -1, np.int32)
    vectors = np.zeros((len(candidates), most, release.vectors.shape[1]), np.float32)
    for row, (positions, known) in enumerate(zip(candidates, foreign, strict=True)):
        number = int(known.sum())
        live_row[row, np.flatnonzero(known)] = np.arange(number)
        vectors[row, :number] = release.vectors_at(positions[known])
    inputs |= {LIVE_ROW: live_row, LIVE_VECTORS: vectors}
    if RANK_TITLED not in release.manifest.signatures:
        return CandidateOutputs.of(counts, predict(RANK_LIVE, inputs))
    inputs[LIVE_TITLES] = np.full((len(candidates), most), "", object)
    for row, (positions, known) in enumerate(zip(candidates, foreign, strict=True)):
        inputs[LIVE_TITLES][row, : int(known.sum())] = release.titles_at(positions[known])
    return CandidateOutputs.of(counts, predict(RANK_TITLED, inputs))


def _popularity(
    counted: Popularity, release: OpenedRelease, requests: Sequence[Request], candidates: list[Ints]
) -> Floats:
    """Return popularities as of the requests, `[batch, width, popularities]`; 0 where there is no candidate."""
    there = np.arange(max(map(len, candidates)))[None] < np.array([len(own) for own in candidates])[:, None]
    out = np.zeros((*there.shape, len(release.config.towers.item.popularities)), np.float32)
    times = np.repeat(_times(release, requests), [len(own) for own in candidates])
    out[there] = counted.of(release.numbers_at(np.concatenate(candidates)), times)
    return out


def _times(release: OpenedRelease, requests: Sequence[Request]) -> Ints:
    """Return when the requests are made, seconds `[batch]`."""
    return np.array([release.moment(request) for request in requests], np.int64)


def best_items(release: OpenedRelease, positions: Ints, ranked: CandidateOutputs, limit: int) -> tuple[Answered, ...]:
    """Put a request's candidates in the ranker's order and keep `limit` of them; ties stay as retrieved."""
    best = highest(ranked.score, limit)
    ids, titles = release.ids_at(positions[best]), release.titles_at(positions[best])
    quality = quality_at(release, positions[best])
    return tuple(
        Answered(
            item_id=str(item_id),
            title=str(title),
            score=float(ranked.score[column]),
            retrieval_score=float(ranked.retrieval_score[column]),
            heads={name: float(values[column]) for name, values in ranked.heads.items()},
            quality=features,
        )
        for column, item_id, title, features in zip(best, ids, titles, quality, strict=True)
    )


def quality_at(release: OpenedRelease, positions: Ints) -> list[dict[str, float]]:
    """Return the quality features of items at `positions` `[n]`, by name."""
    names = list(release.config.towers.item.quality)
    if not names:
        return [{} for _ in positions]
    stored = release.vectors_at(positions)[:, -len(names) :]
    return [dict(zip(names, map(float, row), strict=True)) for row in stored]
