"""Diagnosis of a model on one task: recall of retrieval alone, and calibration of the served heads."""

import numpy as np

from unified_ranker.evaluation.calibration import measure_calibration
from unified_ranker.evaluation.candidates import CandidateRules
from unified_ranker.evaluation.metrics import rank_of_target
from unified_ranker.evaluation.protocol import sample, window
from unified_ranker.evaluation.results import Diagnosis, Part, RetrievalRecall
from unified_ranker.evaluation.scoring import RequestEncoder
from unified_ranker.evaluation.shortlists import ranked_candidates
from unified_ranker.prepare.examples import Examples
from unified_ranker.prepare.prepared import Prepared
from unified_ranker.towers.tensorflow import tf

_REQUESTS = 1000
"""Requests of a task that are looked at, at most: each is ranked once more."""
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

    Heads are measured on the candidates that the service would rank: every pair of a request and a candidate counts,
    also of requests whose target is not among them, and the event is that the request's engagement was with this
    candidate, by the event that the head predicts.
    """
    model = encoder.model
    config, declared = model.config, model.config.tasks[task]
    number = list(config.tasks).index(task) + 1
    weights = model.quality_weights.numpy()[number]
    choices = {"declared": weights, "none": np.zeros_like(weights)}
    ranks: dict[str, list[np.ndarray]] = {name: [] for name in choices}
    chances, events = [], []
    for part in ranked_candidates(encoder, rules, requests, task):
        for name, scores in {"declared": part.chunk.scores, "none": part.chunk.likeness}.items():
            ranks[name].append(rank_of_target(scores, part.requests.item, part.allowed))
        tasks = tf.fill([len(part.requests)], tf.constant(number, tf.int64))
        chances.append(model.probabilities(tf.constant(part.logits), tasks).numpy())
        events.append(part.event)
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
            measure_calibration(
                head,
                *(
                    np.concatenate([part[..., config.heads.index(head)].reshape(-1) for part in parts])
                    for parts in (chances, events)
                ),
            )
            for head in declared.heads
        ),
    )
