"""Candidates that the head ranks for recorded requests, and the events of each."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np

from unified_ranker.evaluation.candidates import CandidateRules
from unified_ranker.evaluation.protocol import row_batches
from unified_ranker.evaluation.scoring import CHUNK, EncodedChunk, RequestEncoder, ScoredCandidates
from unified_ranker.prepare.examples import Examples
from unified_ranker.tasks.head_groups import kind_by_head
from unified_ranker.tasks.head_kinds.base import HeadPairs


@dataclass(frozen=True)
class RankedCandidates:
    """Batch of requests of one task with their ranked candidates.

    Attributes:
        requests: `[n]`.
        chunk: their encodings.
        allowed: which items may answer, `[n, items]`.
        retrieval: two-tower scores of the candidates, `[n, candidates]`.
        ranked: the candidates, with logits of the heads.
        event: whether the request ended with the candidate in the event that teaches the head,
            `[n, candidates, heads]`.
    """

    requests: Examples
    chunk: EncodedChunk
    allowed: np.ndarray
    retrieval: np.ndarray
    ranked: ScoredCandidates
    event: np.ndarray

    def pairs(self, head: int) -> HeadPairs:
        """Return the pairs of requests and candidates as the head at that position sees them."""
        event = self.event[..., head]
        value = np.where(event, self.requests.value[:, None], np.nan).astype(np.float32)
        return HeadPairs(self.ranked.logits[..., head].reshape(-1), event.reshape(-1), value.reshape(-1))


def join_pairs(parts: Sequence[HeadPairs]) -> HeadPairs:
    """Return the pairs of several parts as one."""
    names = (field.name for field in fields(HeadPairs))
    return HeadPairs(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def ranked_candidates(
    encoder: RequestEncoder, rules: CandidateRules, requests: Examples, task: str, as_of: bool = False
) -> Iterator[RankedCandidates]:
    """Yield `requests` of `task` in batches; `as_of`: signals as of each request, for requests in the fit window."""
    heads = np.array([kind.taught_by(name) for name, kind in kind_by_head(encoder.model.config).items()], object)
    for rows in row_batches(len(requests), len(encoder.prepared.items)):
        batch = requests.take(rows)
        allowed = rules.allowed(batch)
        for start, chunk in zip(range(0, len(batch), CHUNK), encoder.chunks(batch), strict=True):
            part = np.arange(start, min(start + CHUNK, len(batch)))
            own, may = batch.take(part), allowed[part]
            moment = own.timestamp if as_of else None
            ranked = encoder.candidate_ranker.rank(chunk, np.arange(len(part)), task, may, moment)
            same = (ranked.items == own.item[:, None])[..., None] & ranked.present[..., None]
            retrieval = np.take_along_axis(chunk.scores, ranked.items, 1)
            yield RankedCandidates(own, chunk, may, retrieval, ranked, same & (own.head[:, None, None] == heads))
