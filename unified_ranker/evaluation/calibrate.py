"""Calibration of a trained model's heads, on the candidates that the service would rank."""

import logging
from collections.abc import Sequence

import numpy as np

from unified_ranker.evaluation.candidates import CandidateRules
from unified_ranker.evaluation.protocol import drawn
from unified_ranker.evaluation.ranked_candidates import join_pairs, ranked_candidates
from unified_ranker.evaluation.scoring import RequestEncoder
from unified_ranker.prepare.prepared import Prepared
from unified_ranker.tasks.head_groups import heads_of_task, kind_by_head
from unified_ranker.training.trained import TrainedModel

logger = logging.getLogger(__name__)

_LAST = 0.9
"""Quantile of times in the fit window; calibration uses later requests, which are most like those to be served."""
_REQUESTS = 500
"""Most requests of a task. Each has hundreds of candidates, enough to fit the two numbers of a head."""


def calibrate(
    trained: TrainedModel, prepared: Prepared, tasks: Sequence[str] = (), encoder: RequestEncoder | None = None
) -> None:
    """Fit the two numbers of each head of `tasks`, all when empty, and store them in the model.

    In training a head sees few, drawn candidates, and its softmax determines the logits only up to a constant for each
    request. The two numbers make its served output a probability: that the request ends in the head's event with the
    candidate. Heads are added in `score` as these probabilities, so they decide how much each head counts there.

    The requests are the last ones of the training data, with signals and histories as of each. A model that has
    overfitted them is over-confident afterwards; the report shows it as the expected calibration error.

    `encoder` is one of the same model, whose graphs are traced already; None: a new one.
    """
    model = trained.model
    config, heads, kinds = model.config, model.config.heads, kind_by_head(model.config)
    encoder, rules = encoder or RequestEncoder(model, prepared, trained.quality), CandidateRules(prepared, config)
    fit = prepared.between(None, trained.fit_end)
    late = fit.take(fit.timestamp >= np.quantile(fit.timestamp, _LAST))
    found = model.calibration.numpy()
    for number, task in enumerate(config.tasks, start=1):
        requests = late.take(late.task == task)
        if (tasks and task not in tasks) or not len(requests):
            continue
        chosen = drawn(requests, task, config, _REQUESTS)
        of_task = heads_of_task(config, task)
        # Only the pairs are kept: the other columns hold the whole catalogue for every request.
        parts = [
            [part.pairs(heads.index(head)) for head in of_task]
            for part in ranked_candidates(encoder, rules, chosen, task, as_of=True)
        ]
        for head, pairs in zip(of_task, zip(*parts, strict=True), strict=True):
            scale, shift = kinds[head].calibrate(join_pairs(pairs))
            found[number, heads.index(head)] = scale, shift
            logger.info("%s, %s: numbers of calibration %.3f, %.3f", task, head, scale, shift)
    model.calibration.assign(found)
