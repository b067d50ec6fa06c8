"""The optimizer takes the steps that Keras' AdamW takes, and those of the paper."""

import numpy as np
import pytest

from unified_ranker.towers.tensorflow import tf
from unified_ranker.training.optimizer import FusedAdamW

RATE, DECAY, BETA_1, BETA_2, EPSILON, CLIP = 0.1, 0.05, 0.9, 0.99, 1e-7, 1.0
STEPS, SHAPE = 6, (5, 3)


def schedule():
    """A rate that changes, so that a stale one shows."""
    return tf.keras.optimizers.schedules.PolynomialDecay(RATE, STEPS, 0.0)


def start(rng):
    return rng.normal(size=SHAPE).astype(np.float32), rng.normal(size=4).astype(np.float32)


def gradients(rng, sparse):
    """What a step finds for a table and a bias: rows of the table, one of them twice, or all of it."""
    rows = np.array([1, 3, 1])
    values = rng.normal(size=(3, SHAPE[1])).astype(np.float32)
    whole = np.zeros(SHAPE, np.float32)
    np.add.at(whole, rows, values)
    table = tf.IndexedSlices(tf.constant(values), tf.constant(rows), SHAPE) if sparse else tf.constant(whole)
    return whole, table, rng.normal(size=4).astype(np.float32)


def steps_of(optimizer, sparse, seed=3):
    rng = np.random.default_rng(seed)
    variables = [tf.Variable(value) for value in start(rng)]
    optimizer.build(variables)
    for _ in range(STEPS):
        _, table, bias = gradients(rng, sparse)
        optimizer.apply_gradients(zip([table, tf.constant(bias)], variables, strict=True))
    return [variable.numpy() for variable in variables]


def steps_by_hand(seed=3):
    rng = np.random.default_rng(seed)
    weights = [value.astype(np.float64) for value in start(rng)]
    m, v = ([np.zeros_like(w) for w in weights] for _ in range(2))
    for step in range(STEPS):
        whole, _, bias = gradients(rng, sparse=False)
        rate = RATE * (1 - step / STEPS)
        norm = np.sqrt((whole**2).sum() + (bias**2).sum())
        for i, gradient in enumerate((whole, bias)):
            clipped = gradient * min(1.0, CLIP / norm)
            m[i] += (clipped - m[i]) * (1 - BETA_1)
            v[i] += (clipped**2 - v[i]) * (1 - BETA_2)
            mean, variance = m[i] / (1 - BETA_1 ** (step + 1)), v[i] / (1 - BETA_2 ** (step + 1))
            weights[i] = weights[i] * (1 - rate * DECAY) - rate * mean / (np.sqrt(variance) + EPSILON)
    return weights


def test_the_steps_are_those_of_the_paper():
    found = steps_of(FusedAdamW(schedule(), DECAY, beta_2=BETA_2, global_clipnorm=CLIP), sparse=False)
    for one, other in zip(found, steps_by_hand(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("sparse", [False, True])
def test_the_steps_are_those_of_keras(sparse):
    # A row that is named twice counts twice in the norm that gradients are clipped by, as Keras has it.
    how = {"beta_2": BETA_2, "global_clipnorm": CLIP}
    found = steps_of(FusedAdamW(schedule(), DECAY, **how), sparse)
    theirs = steps_of(tf.keras.optimizers.AdamW(schedule(), weight_decay=DECAY, **how), sparse)
    for one, other in zip(found, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_rows_without_a_gradient_go_on_as_they_went():
    """A table's row that had a gradient once moves on by its momentum, as Adam's do."""
    table = tf.Variable(np.ones(SHAPE, np.float32))
    optimizer = FusedAdamW(0.1, 0.0)
    optimizer.build([table])
    for row in (0, 1):
        slices = tf.IndexedSlices(tf.ones([1, SHAPE[1]]), tf.constant([row]), SHAPE)
        optimizer.apply_gradients([(slices, table)])
        if row == 0:
            once = table.numpy()[0]
    assert (table.numpy()[0] < once).all()
    np.testing.assert_array_equal(table.numpy()[2:], 1.0)
