"""Quality weights and ranking strengths of a project, fitted on its validation slice by a model of the train slice."""

import numpy as np

from unified_ranker.evaluation.candidates import CandidateRules
from unified_ranker.evaluation.protocol import window
from unified_ranker.evaluation.quality_weight_fit import FittedWeights, RetrievalScores, fit_weights
from unified_ranker.evaluation.ranking_strength_fit import FittedStrength, fit_strength
from unified_ranker.evaluation.scoring import RequestEncoder
from unified_ranker.project.prepare_stage import prepared_data
from unified_ranker.project.stage_context import StageContext
from unified_ranker.project.train_stage import up_to_date_model


def tune_quality(context: StageContext, trials: int, requests: int) -> list[tuple[FittedWeights, FittedStrength]]:
    """Fit each task that has requests in the validation slice.

    Args:
        context: the project, declared so that the model is fitted on the train slice and every strength is 1.
        trials: sets of weights to try for a task.
        requests: requests of a task to try them on, at most.
    """
    config, trained, prepared = context.config, up_to_date_model(context), prepared_data(context)
    encoder, rules = RequestEncoder(trained.model, prepared, trained.quality), CandidateRules(prepared, config)
    examples = prepared.between(*window(prepared, "validation"))
    found = []
    for task in config.tasks:
        of_task = examples.take((examples.task == task) & examples.retrieved)
        if not len(of_task):
            continue
        random = np.random.default_rng(config.project.seed)
        sampled = of_task.take(np.sort(random.permutation(len(of_task))[:requests]))
        strength = fit_strength(encoder, rules, sampled, task)
        scores = RetrievalScores(encoder, rules, sampled)
        names = list(config.towers.item.quality)
        found.append((fit_weights(scores, task, names, trials, config.project.seed), strength))
    return found
