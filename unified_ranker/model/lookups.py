"""Look-up of prepared data as inputs of the model: indices of names, imputed fields, tokens of queries.

Imputation and tokenisation use the functions of the served graph, so that training and serving cannot differ.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from unified_ranker.core.arrays import MISSING, Ints, Strings
from unified_ranker.model.inputs import RequestIndices
from unified_ranker.model.ranker import UnifiedRanker
from unified_ranker.prepare.examples import Examples
from unified_ranker.prepare.prepared import Prepared
from unified_ranker.tasks.imputation import ImputableFields, Imputer
from unified_ranker.towers.history import HistoryEvents
from unified_ranker.towers.tensorflow import tf
from unified_ranker.towers.text import Tokens


def imputer_of(model: UnifiedRanker) -> Imputer:
    """Build the imputation rules over the model's catalogue."""
    return Imputer(model.config.tasks, model.catalogue.titles, model.catalogue.user_countries)


def look_up_events(prepared: Prepared, model: UnifiedRanker) -> HistoryEvents:
    """Look up the names in all histories, `[events]`."""
    histories = prepared.histories
    tower = model.user_tower
    return HistoryEvents(
        item=histories.item,
        event_type=_look_up(tower.event_types.index, histories.event_type),
        task=_look_up(tower.tasks.index, histories.task),
        gap=histories.gaps(),
        value=histories.value,
    )


def impute_examples(prepared: Prepared, examples: Examples, model: UnifiedRanker) -> ImputableFields:
    """Return the fields of examples as the model sees them, missing ones filled by the rules of their task."""
    last = prepared.histories.last_before(examples.user, examples.history_length)
    # The last item is for row -1.
    items = np.append(prepared.histories.common(prepared.histories.item), MISSING)
    fields = ImputableFields(
        task=tf.constant(examples.task, tf.string),
        query=tf.constant(examples.query, tf.string),
        source_item=tf.constant(examples.source_item),
        country=tf.constant(examples.country, tf.string),
    )
    return imputer_of(model)(fields, tf.constant(items[last]), tf.constant(examples.user))


@dataclass(frozen=True)
class QueryTexts:
    """Distinct queries of some requests.

    Attributes:
        number: index of each request's query among them, `[requests]`.
        tokens: `[queries]`.
        texts: `[queries]`; "" is none.
    """

    number: Ints
    tokens: Tokens
    texts: Strings


def look_up_requests(prepared: Prepared, examples: Examples, model: UnifiedRanker) -> tuple[RequestIndices, QueryTexts]:
    """Look up and impute the requests; `position` is the length of the whole history before each."""
    histories = prepared.histories
    last = histories.last_before(examples.user, examples.history_length)
    has_history = last != MISSING
    newest = last[has_history]
    previous_task, gap = (np.full(len(examples), blank) for blank in (0, MISSING))
    tasks = histories.common(_look_up(model.user_tower.tasks.index, histories.task))
    previous_task[has_history] = np.maximum(tasks[newest], 0)
    gap[has_history] = examples.timestamp[has_history] - histories.timestamp[newest]
    filled = impute_examples(prepared, examples, model)
    queries, number = np.unique(filled.query.numpy().astype(object), return_inverse=True)
    request = RequestIndices(
        task=_look_up(model.context_tower.tasks.index, examples.task),
        source=filled.source_item.numpy(),
        country=model.categories.index("country", filled.country).numpy(),
        previous_task=previous_task,
        gap=gap,
        timestamp=examples.timestamp,
        position=examples.history_length,
    )
    tokens = model.text.tokenise(tf.constant(queries, tf.string))
    return request, QueryTexts(number.reshape(-1).astype(np.int64), tokens, queries)


def _look_up(index: Callable[[tf.Tensor], tf.Tensor], names: np.ndarray) -> np.ndarray:
    """Look up names, each distinct one once."""
    if len(names) == 0:
        return np.zeros(0, np.int64)
    unique, number = np.unique(names.astype(str), return_inverse=True)
    return index(tf.constant(unique.astype(object), tf.string)).numpy()[number.reshape(-1)]
