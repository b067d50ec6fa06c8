"""Losses of retrieval and ranking. All return one loss an example, `[examples]`."""

import numpy as np

from unified_ranker.tensorflow import tf


def softmax_over_items(logits: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Cross-entropy over the whole catalogue with several weighted targets a row.

    Args:
        logits: `[examples, items]`.
        targets: item indices `[examples, k]`; -1 = none.
        weights: `[examples, k]`; each row is normalised to sum 1. The first target of a row must exist.

    Reference: next-k with time decay, Netflix foundation model (2025), multi-token prediction.
    """
    present = tf.cast(targets >= 0, tf.float32) * weights
    present /= tf.reduce_sum(present, 1, keepdims=True)
    chosen = tf.gather(logits, tf.maximum(targets, 0), batch_dims=1)
    return tf.reduce_logsumexp(logits, 1) - tf.reduce_sum(present * chosen, 1)


def softmax_over_candidates(logits: tf.Tensor, target: tf.Tensor, allowed: tf.Tensor) -> tf.Tensor:
    """Cross-entropy of the candidate at position `target` `[examples]` among `allowed` `[examples, candidates]`."""
    masked = tf.where(allowed, logits, tf.fill(tf.shape(logits), -1e9))
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=target, logits=masked)


def log_mixture(logits: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Combine head logits `[..., heads]` as log Σ weight · exp(logit); a head of weight 0 takes no part.

    Heads are trained by softmax over candidates, so exp(logit) is proportional to the share of that event an item
    would get, and the sum is the weighted share of engagement. Raw logits keep their order where sigmoids saturate.
    """
    log_weights = tf.where(weights > 0, tf.math.log(tf.maximum(weights, 1e-20)), -np.inf)
    return tf.reduce_logsumexp(logits + log_weights, -1)
