"""Candidates of requests among a whole catalogue inside the served graph, by the rule of `core.candidate_rule`."""

from collections.abc import Mapping

from unified_ranker.config import Task
from unified_ranker.core.arrays import MISSING
from unified_ranker.core.candidate_rule import Pairs, allowed, excluded_events
from unified_ranker.core.request import History
from unified_ranker.export.offer_table import OfferTable
from unified_ranker.export.request_graph import GivenFields
from unified_ranker.tasks.encoded_state import EncodedState
from unified_ranker.towers.tensorflow import tf


def candidate_mask(
    given: GivenFields,
    state: EncodedState,
    history: History,
    created: tf.Tensor,
    offers: OfferTable,
    tasks: Mapping[str, Task],
) -> tf.Tensor:
    """Return which items may answer which request, `[batch, items]`.

    Args:
        given: the fields of the requests.
        state: the requests, encoded.
        history: their whole histories, columns `[batch, events]`.
        created: when each item was created, seconds `[items]`.
        offers: where the items may be shown.
        tasks: the declared tasks, in their order.
    """
    count, moment = tf.shape(created, tf.int64)[0], state.timestamp[:, None]
    excluded = tf.zeros_like(given.history_items, tf.bool)
    for number, (name, declared) in enumerate(tasks.items(), start=1):
        own = excluded_events(history, moment, name, declared)
        excluded |= (state.task == number)[:, None] & own
    engaged = tf.where(excluded, given.history_items, MISSING)
    mask: tf.Tensor = allowed(
        Pairs(
            item=tf.range(count)[None],
            created_at=created[None],
            moment=moment,
            source_item=given.source_item[:, None],
            query_item=given.query_item[:, None],
            engaged=multi_hot(engaged, tf.stack([tf.shape(moment)[0], tf.cast(count, tf.int32)])) > 0,
            offered=offers.offered(given.country),
            available=offers.available,
        )
    )
    return mask


def multi_hot(indices: tf.Tensor, shape: tf.Tensor) -> tf.Tensor:
    """Return 1 at `indices` `[batch, n]` (-1 = none) of a table of `shape`, else 0."""
    rows = tf.repeat(tf.range(shape[0])[:, None], tf.shape(indices)[1], 1)
    known = indices >= 0
    cells = tf.stack([tf.boolean_mask(rows, known), tf.cast(tf.boolean_mask(indices, known), tf.int32)], 1)
    marked = tf.scatter_nd(cells, tf.ones(tf.shape(cells)[0]), shape)
    return tf.minimum(marked, 1.0)
