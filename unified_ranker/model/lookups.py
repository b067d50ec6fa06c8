"""Prepared data as the numbers that the model takes: names looked up, missing fields imputed, queries tokenised.

Imputation and text go through the very functions that the served graph calls, so that training cannot skew from
serving.
"""

from collections.abc import Callable

import numpy as np

from unified_ranker.config import Config
from unified_ranker.core.arrays import MISSING, Strings
from unified_ranker.model.ranker import UnifiedRanker
from unified_ranker.prepare.examples import Examples
from unified_ranker.prepare.prepared import Prepared
from unified_ranker.tasks.imputation import Imputer, RequestFields
from unified_ranker.towers.tensorflow import tf
from unified_ranker.towers.text import Tokens
from unified_ranker.training.window_batches import EventIndices, ExampleIndices, gaps, last_event, next_targets


def imputer_of(model: UnifiedRanker) -> Imputer:
    """Build the imputation rules over the model's catalogue."""
    return Imputer(model.config.tasks, model.catalogue.titles, model.catalogue.user_countries)


def look_up_events(prepared: Prepared, model: UnifiedRanker) -> EventIndices:
    """Look up the names in all histories."""
    histories = prepared.histories
    tower = model.user_tower
    return EventIndices(
        item=histories.item,
        event_type=_look_up(tower.event_types.index, histories.event_type),
        task=_look_up(tower.tasks.index, histories.task),
        gap=gaps(histories),
        value=histories.value,
    )


def impute_examples(prepared: Prepared, examples: Examples, model: UnifiedRanker) -> RequestFields:
    """Return the fields of examples as the model sees them, missing ones filled by the rules of their task."""
    last = last_event(examples, prepared.histories)
    has_history = last != MISSING
    last_item = np.full(len(examples), MISSING)
    last_item[has_history] = prepared.histories.item[last[has_history]]
    fields = RequestFields(
        task=tf.constant(examples.task, tf.string),
        query=tf.constant(examples.query, tf.string),
        source_item=tf.constant(examples.source_item),
        country=tf.constant(examples.country, tf.string),
    )
    return imputer_of(model)(fields, tf.constant(last_item), tf.constant(examples.user))


def look_up_examples(
    prepared: Prepared, examples: Examples, model: UnifiedRanker
) -> tuple[ExampleIndices, Tokens, Strings]:
    """Look up and impute examples; returns also the texts that `query` numbers, as tokens and as they are."""
    config, histories = model.config, prepared.histories
    last = last_event(examples, histories)
    has_history = last != MISSING
    newest = last[has_history]
    previous_task, gap = (np.full(len(examples), blank) for blank in (0, MISSING))
    previous_task[has_history] = _look_up(model.user_tower.tasks.index, histories.task[newest])
    gap[has_history] = examples.timestamp[has_history] - histories.timestamp[newest]
    filled = impute_examples(prepared, examples, model)
    queries, number = np.unique(filled.query.numpy().astype(object), return_inverse=True)
    objective = config.towers.user.objective
    targets, decay = next_targets(examples, objective.k, objective.decay)
    looked_up = ExampleIndices(
        task=_look_up(model.context_tower.tasks.index, examples.task),
        query=number.reshape(-1).astype(np.int64),
        source=filled.source_item.numpy(),
        country=model.categories.index("country", filled.country).numpy(),
        previous_task=previous_task,
        gap=gap,
        head=head_numbers(config, examples.head),
        targets=targets,
        decay=decay,
    )
    return looked_up, model.text.tokenise(tf.constant(queries, tf.string)), queries


def head_numbers(config: Config, heads: np.ndarray) -> np.ndarray:
    """Return the position of each head name `[n]` among `config.heads`."""
    numbers = {name: i for i, name in enumerate(config.heads)}
    return np.array([numbers[h] for h in heads], np.int64)


def _look_up(index: Callable[[tf.Tensor], tf.Tensor], names: np.ndarray) -> np.ndarray:
    """Look up repeated names once each."""
    if len(names) == 0:
        return np.zeros(0, np.int64)
    unique, number = np.unique(names.astype(str), return_inverse=True)
    return index(tf.constant(unique.astype(object), tf.string)).numpy()[number.reshape(-1)]
