"""Losses, against NumPy."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from unified_ranker.tasks.losses import log_mixture, softmax_against, softmax_over_candidates, softmax_over_items
from unified_ranker.towers.tensorflow import tf

LOGITS = np.random.default_rng(0).normal(0, 3, (4, 6)).astype(np.float32)
EVERYTHING = np.ones((4, 6), bool)


def log_softmax(logits, keep):
    kept = np.where(keep, logits, -np.inf)
    return logits - np.log(np.exp(kept - kept.max()).sum()) - kept.max()


def items_loss(targets, weights, existed=EVERYTHING):
    # With one unit vector an item, the queries are the logits.
    return softmax_over_items(
        tf.constant(LOGITS),
        tf.eye(6),
        tf.constant(targets, tf.int64),
        tf.constant(weights, tf.float32),
        tf.constant(existed),
    ).numpy()


def test_one_target_is_plain_cross_entropy():
    targets = np.array([[0], [3], [5], [2]])
    expected = [-log_softmax(row, True)[t] for row, (t,) in zip(LOGITS, targets, strict=True)]
    np.testing.assert_allclose(items_loss(targets, np.full((4, 1), 0.3)), expected, rtol=1e-5)


def test_several_targets_share_by_weight():
    targets = np.array([[0, 3, -1], [3, 3, 1], [5, -1, -1], [2, 0, 1]])
    weights = np.array([[1, 0.5, 0.25]] * 4)
    expected = []
    for row, wanted, share in zip(LOGITS, targets, weights, strict=True):
        share = np.where(wanted >= 0, share, 0)
        expected.append(-(share / share.sum() * log_softmax(row, True)[wanted]).sum())
    np.testing.assert_allclose(items_loss(targets, weights), expected, rtol=1e-5)


def test_a_target_of_weight_zero_takes_no_part():
    with_it = items_loss(np.array([[0, 3]] * 4), np.array([[1, 0]] * 4))
    np.testing.assert_allclose(with_it, items_loss(np.array([[0]] * 4), np.ones((4, 1))), rtol=1e-5)


def test_items_that_did_not_exist_take_no_part():
    existed = EVERYTHING.copy()
    existed[:, [1, 4]] = False
    targets = np.array([[0], [3], [5], [2]])
    expected = [-log_softmax(row, keep)[t] for row, keep, (t,) in zip(LOGITS, existed, targets, strict=True)]
    np.testing.assert_allclose(items_loss(targets, np.ones((4, 1)), existed), expected, rtol=1e-5)


def test_the_event_is_believed_where_its_item_is_dated_later():
    existed = EVERYTHING.copy()
    existed[:, [1, 4]] = False
    as_if = existed.copy()
    as_if[:, 4] = True
    targets = np.full((4, 1), 4)
    expected = [-log_softmax(row, keep)[4] for row, keep in zip(LOGITS, as_if, strict=True)]
    np.testing.assert_allclose(items_loss(targets, np.ones((4, 1)), existed), expected, rtol=1e-5)


def test_softmax_over_candidates():
    allowed = np.random.default_rng(1).random((4, 6)) < 0.6
    allowed[:, 0] = True
    loss = softmax_over_candidates(tf.constant(LOGITS), tf.zeros([4], tf.int64), tf.constant(allowed)).numpy()
    expected = [-log_softmax(row, keep)[0] for row, keep in zip(LOGITS, allowed, strict=True)]
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_a_candidate_that_is_not_allowed_has_no_influence():
    allowed = np.array([[True, True, False]])
    losses = [
        softmax_over_candidates(tf.constant([[1.0, 2.0, x]]), tf.zeros([1], tf.int64), tf.constant(allowed)).numpy()
        for x in (-5.0, 50.0)
    ]
    np.testing.assert_array_equal(*losses)


NUMBERS = st.floats(-50, 50, width=32)
WEIGHTS = st.sampled_from([0.0, 0.25, 1.0, 3.0])


@given(arrays(np.float32, (3, 4), elements=NUMBERS), arrays(np.float32, (4,), elements=WEIGHTS))
def test_log_mixture_is_the_log_of_the_weighted_sum(logits, weights):
    found = log_mixture(tf.constant(logits), tf.constant(weights)).numpy()
    with np.errstate(divide="ignore"):
        expected = np.log((weights.astype(np.float64) * np.exp(logits.astype(np.float64))).sum(-1))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_a_head_of_weight_zero_cannot_break_the_mixture():
    wild = tf.constant([[1.0, 1e30], [2.0, -1e30], [3.0, np.inf], [4.0, np.nan]])
    np.testing.assert_allclose(log_mixture(wild, tf.constant([[1.0, 0.0]])), [1, 2, 3, 4])
    with tf.GradientTape() as tape:
        logits = tf.constant([[1.0, 5.0]])
        tape.watch(logits)
        score = log_mixture(logits, tf.constant([2.0, 0.0]))
    np.testing.assert_allclose(tape.gradient(score, logits), [[1, 0]], atol=1e-6)


def test_the_gradient_of_the_softmax_against_negatives_is_that_of_tensorflow():
    rng = np.random.default_rng(9)
    given_arrays = [rng.normal(size=shape).astype(np.float32) for shape in ((5, 3), (5, 3), (7, 3))]
    negative, upstream = rng.random((5, 7)) < 0.7, rng.random(5).astype(np.float32)
    negative[2] = False

    def plain(queries, own, candidates):
        scores = tf.where(tf.constant(negative), tf.matmul(queries, candidates, transpose_b=True), -1e9)
        scores = tf.concat([tf.reduce_sum(queries * own, 1, keepdims=True), scores], 1)
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=tf.zeros(5, tf.int64), logits=scores)

    found = []
    for loss in (plain, lambda *given: softmax_against(*given, tf.constant(negative))):
        given = [tf.Variable(array) for array in given_arrays]
        with tf.GradientTape() as tape:
            losses = loss(*given)
        found.append([losses, *tape.gradient(losses, given, tf.constant(upstream))])
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)
    assert losses[2] == 0
