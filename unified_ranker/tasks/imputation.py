"""Imputation of missing fields of a request in the graph, by rules of its task, the same in training and serving.

UniCoRn (arXiv 2408.10394, section 2): a missing query becomes the display name of the source item, a missing source
item stays an explicit null, so that the surfaces share their parameters.
"""

from dataclasses import dataclass

import numpy as np

from unified_ranker.config import Task
from unified_ranker.core.arrays import MISSING
from unified_ranker.towers.tensorflow import tf


@dataclass(frozen=True)
class ImputableFields:
    """The fields that rules may fill, `[batch]`: strings ("" = missing) and item indices (-1 = missing)."""

    task: tf.Tensor
    query: tf.Tensor
    source_item: tf.Tensor
    country: tf.Tensor


class Imputer(tf.Module):
    """Applies each task's rules. A field that the request carries is never changed; an unknown task changes nothing.

    A source item that the catalogue lacks counts as missing.
    """

    def __init__(self, tasks: dict[str, Task], titles: np.ndarray, user_countries: np.ndarray) -> None:
        """Build from the tasks, item titles `[items]`, and users' countries `[users]` ("" = unknown)."""
        super().__init__(name="imputer")
        self.tasks = tasks
        # The last row is for index -1, so that a gather never leaves the table.
        self.titles = tf.constant(np.append(titles, "").astype(object), tf.string)
        self.countries = tf.constant(np.append(user_countries, "").astype(object), tf.string)

    def __call__(self, fields: ImputableFields, last_item: tf.Tensor, user: tf.Tensor) -> ImputableFields:
        """Fill missing fields; `last_item` `[batch]` is the newest item of the history, `user` `[batch]` an index."""
        source = tf.where(
            self._applies(fields.task, "source_item", "last_history_item") & (fields.source_item == MISSING),
            last_item,
            fields.source_item,
        )
        title = _gather_or_last(self.titles, source)
        query = tf.where(
            self._applies(fields.task, "query", "source_item_title") & (fields.query == ""), title, fields.query
        )
        home = _gather_or_last(self.countries, user)
        country = tf.where(self._applies(fields.task, "country", "user") & (fields.country == ""), home, fields.country)
        return ImputableFields(fields.task, query, source, country)

    def _applies(self, task: tf.Tensor, field: str, rule: str) -> tf.Tensor:
        named = [name for name, t in self.tasks.items() if getattr(t.imputation, field) == rule]
        if not named:
            return tf.zeros_like(task, tf.bool)
        return tf.reduce_any(task[:, None] == tf.constant(named)[None], 1)


def _gather_or_last(table: tf.Tensor, indices: tf.Tensor) -> tf.Tensor:
    last = tf.shape(table, indices.dtype)[0] - 1  # a served table is a variable, which has no `len`
    return tf.gather(table, tf.where(indices == MISSING, last, indices))
