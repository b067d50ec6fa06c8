"""Losses of retrieval and ranking. All return one loss for each example, `[examples]`."""

import numpy as np

from unified_ranker.core.arrays import NOT_A_CANDIDATE
from unified_ranker.towers.tensorflow import tf


def softmax_over_items(
    queries: tf.Tensor, vectors: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor, existed: tf.Tensor
) -> tf.Tensor:
    """Cross-entropy over the items that existed, with several weighted targets for each row.

    Args:
        queries: `[examples, dim]`, divided by the temperature.
        vectors: of all items, `[items, dim]`.
        targets: item indices `[examples, k]`; -1 = none.
        weights: `[examples, k]`; each row is normalised to sum 1. The first target of a row must be given.
        existed: which items were candidates, `[examples, items]`. The first target always is one, even
            where a log dates the item after the event.

    Reference: next-k with time decay, Netflix foundation model (2025), multi-token prediction.
    """
    present = tf.cast(targets >= 0, tf.float32) * weights
    present /= tf.reduce_sum(present, 1, keepdims=True)
    places = tf.maximum(targets, 0)
    first = places[:, 0]
    own = tf.stack([tf.range(tf.size(first, tf.int64)), first], 1)
    existed = tf.tensor_scatter_nd_update(existed, own, tf.ones_like(first, tf.bool))
    logits = tf.where(existed, tf.matmul(queries, vectors, transpose_b=True), NOT_A_CANDIDATE)
    # One fused operation for the first target. The others use their own vectors, because gathering them from the logits
    # would make gradients as wide as the catalogue.
    chosen = tf.einsum("nd,nkd->nk", queries, tf.gather(vectors, places))
    loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=first, logits=logits)
    return loss + chosen[:, 0] - tf.reduce_sum(present * chosen, 1)


def softmax_over_candidates(logits: tf.Tensor, target: tf.Tensor, allowed: tf.Tensor) -> tf.Tensor:
    """Cross-entropy of the candidate at position `target` `[examples]` among `allowed` `[examples, candidates]`."""
    masked = tf.where(allowed, logits, NOT_A_CANDIDATE)
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=target, logits=masked)


def log_mixture(logits: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Combine logarithms `[..., n]` as log Σ weight · exp(logarithm); one of weight 0 takes no part."""
    log_weights = tf.where(weights > 0, tf.math.log(tf.maximum(weights, 1e-20)), -np.inf)
    return tf.reduce_logsumexp(logits + log_weights, -1)


def gumbel_noise(shape: tf.Tensor) -> tf.Tensor:
    """Draw Gumbel noise: the highest sums of it and of logits are a draw in proportion to their softmax."""
    return -tf.math.log(-tf.math.log(tf.random.uniform(shape, 1e-9, 1.0)))
