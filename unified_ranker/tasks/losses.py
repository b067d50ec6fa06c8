"""Losses of retrieval and ranking. All return one loss for each example, `[examples]`."""

from collections.abc import Callable

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
    rows = tf.maximum(targets, 0)
    first = rows[:, 0]
    own = tf.stack([tf.range(tf.size(first, tf.int64)), first], 1)
    negative = tf.tensor_scatter_nd_update(existed, own, tf.zeros_like(first, tf.bool))
    chosen = tf.gather(vectors, rows)
    loss = softmax_against(queries, chosen[:, 0], vectors, negative)
    # The other targets by their own vectors, because gathering them from the scores would make gradients as wide as
    # the catalogue.
    scores = tf.einsum("nd,nkd->nk", queries, chosen)
    return loss + scores[:, 0] - tf.reduce_sum(present * scores, 1)


def softmax_over_candidates(logits: tf.Tensor, target: tf.Tensor, allowed: tf.Tensor) -> tf.Tensor:
    """Cross-entropy of the candidate at position `target` `[examples]` among `allowed` `[examples, candidates]`."""
    masked = tf.where(allowed, logits, NOT_A_CANDIDATE)
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=target, logits=masked)


@tf.custom_gradient  # type: ignore[untyped-decorator]
def softmax_against(
    queries: tf.Tensor, own: tf.Tensor, candidates: tf.Tensor, negative: tf.Tensor
) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor, tf.Tensor, None]]]:
    """Cross-entropy of each query's own item against its negatives, `[examples]`.

    The scores are as many as examples times candidates, so what it costs is passes over them: here there are four, and
    two products for the gradient. TensorFlow's own operations have twice as many, and take 2.4 times as long.

    Args:
        queries: `[examples, dim]`.
        own: the items that the queries should find, `[examples, dim]`.
        candidates: `[candidates, dim]`.
        negative: whether a candidate is a negative of an example, `[examples, candidates]`.
    """
    own_score = tf.reduce_sum(queries * own, 1)
    scores = tf.where(negative, tf.matmul(queries, candidates, transpose_b=True), NOT_A_CANDIDATE)
    highest = tf.maximum(tf.reduce_max(scores, 1), own_score)
    parts = tf.exp(scores - highest[:, None])
    own_part = tf.exp(own_score - highest)
    total = tf.reduce_sum(parts, 1) + own_part

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, None]:
        share = (upstream / total)[:, None]
        to_own_score = own_part[:, None] * share - upstream[:, None]
        to_queries = share * tf.matmul(parts, candidates) + to_own_score * own
        return to_queries, to_own_score * queries, tf.matmul(parts, share * queries, transpose_a=True), None

    return tf.math.log(total) + highest - own_score, gradient


def log_mixture(logits: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Combine logarithms `[..., n]` as log Σ weight · exp(logarithm); one of weight 0 takes no part."""
    # Chosen, not added, because an infinite logarithm and that of the weight 0 would be NaN.
    parts = tf.where(weights > 0, logits + tf.math.log(tf.maximum(weights, 1e-20)), -np.inf)
    return tf.reduce_logsumexp(parts, -1)


def gumbel_noise(shape: tf.Tensor) -> tf.Tensor:
    """Draw Gumbel noise: the highest sums of it and of logits are a draw in proportion to their softmax."""
    return -tf.math.log(-tf.math.log(tf.random.uniform(shape, 1e-9, 1.0)))
