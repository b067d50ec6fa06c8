"""Diagnosis of a model on one task: recall of retrieval and of the candidates, and calibration of the served heads."""

import numpy as np

from unified_ranker.core.arrays import MISSING
from unified_ranker.core.times import DAY
from unified_ranker.evaluation.candidates import CandidateRules
from unified_ranker.evaluation.metrics import rank_of_target
from unified_ranker.evaluation.protocol import sample, window
from unified_ranker.evaluation.ranked_candidates import join_pairs, ranked_candidates
from unified_ranker.evaluation.results import AgedCounts, Diagnosis, Part, RankedCandidateFacts, RetrievalRecall
from unified_ranker.evaluation.scoring import RequestEncoder
from unified_ranker.model.ranker import UnifiedRanker
from unified_ranker.prepare.examples import Examples
from unified_ranker.prepare.prepared import Prepared
from unified_ranker.tasks.head_groups import heads_of_task, kind_by_head
from unified_ranker.tasks.head_kinds.base import HeadPairs
from unified_ranker.towers.tensorflow import tf

_REQUESTS = 1000
"""Most requests of a task that are diagnosed, because each is ranked once more."""
DEPTHS = (100, 500)


def diagnose_part(
    encoder: RequestEncoder, rules: CandidateRules, prepared: Prepared, task: str, part: Part
) -> Diagnosis | None:
    """Diagnose a task on a sample of a part of the split; None where the part has no request of it."""
    examples = prepared.between(*window(prepared, part))
    requests = sample(examples.take(examples.task == task), task, encoder.model.config, _REQUESTS)
    return diagnose(encoder, rules, requests, task) if len(requests) else None


def diagnose(encoder: RequestEncoder, rules: CandidateRules, requests: Examples, task: str) -> Diagnosis:
    """Diagnose a task on `requests`, at least one.

    Heads are measured on the candidates that the service would rank. Every pair of a request and a candidate counts,
    including those of requests whose target is not among the candidates. A pair is positive if the request ended in
    the event that teaches the head, with this candidate.
    """
    model = encoder.model
    config = model.config
    number = list(config.tasks).index(task) + 1
    weights = model.quality_weights.numpy()[number]
    choices = {"declared": weights, "none": np.zeros_like(weights)}
    ranks: dict[str, list[np.ndarray]] = {name: [] for name in choices}
    of_task, kinds = heads_of_task(config, task), kind_by_head(config)
    outputs: dict[str, list[np.ndarray]] = {head: [] for head in of_task}
    pairs: dict[str, list[HeadPairs]] = {head: [] for head in of_task}
    windowed = any(feature.window is not None for feature in config.towers.item.popularities.values())
    found, gains = 0, [np.zeros((0, 2))]
    for part in ranked_candidates(encoder, rules, requests, task):
        for name, scores in {"declared": part.chunk.scores, "none": part.chunk.cosines}.items():
            ranks[name].append(rank_of_target(scores, part.requests.item, part.allowed))
        found += int((part.ranked.position_of(part.requests.item) != MISSING).sum())
        if windowed:
            rows = np.arange(len(part.requests))
            aged = encoder.candidate_ranker.rank(part.chunk, rows, task, part.allowed, counts_age=DAY)
            gains.append(np.stack([ranked.ndcg(part.requests.item) for ranked in (part.ranked, aged)], 1))
        tasks = tf.fill([len(part.requests)], tf.constant(number, tf.int64))
        given = model.head_outputs(tf.constant(part.ranked.logits), tasks).numpy()
        for head in of_task:
            outputs[head].append(given[..., config.heads.index(head)].reshape(-1))
            pairs[head].append(part.pairs(config.heads.index(head)))
    return Diagnosis(
        requests=len(requests),
        retrieval=tuple(
            RetrievalRecall(
                weights=name,
                values={k: round(float(v), 4) for k, v in zip(config.towers.item.quality, values, strict=True)},
                recall={depth: float((np.concatenate(ranks[name]) <= depth).mean()) for depth in DEPTHS},
            )
            for name, values in choices.items()
        ),
        calibration=tuple(
            kinds[head].report(head, np.concatenate(outputs[head]), join_pairs(pairs[head])) for head in of_task
        ),
        candidates=_candidate_facts(model, task, found / len(requests)),
        aged=AgedCounts(*map(float, np.concatenate(gains).mean(0))) if windowed else None,
    )


def _candidate_facts(model: UnifiedRanker, task: str, found: float) -> RankedCandidateFacts:
    config = model.config
    declared, number = config.tasks[task].serving, list(config.tasks).index(task) + 1
    kinds = tuple(signal.type for signal in config.towers.ranker.signals)
    fitted, wanted = float(model.blend.fitted.numpy()[number]) > 0, config.project.training.blend
    return RankedCandidateFacts(
        most=declared.candidates,
        found=found,
        signals=kinds,
        sources=kinds if declared.sources is None else declared.sources,
        blend="fitted" if fitted else "too few" if wanted else "off",
    )
