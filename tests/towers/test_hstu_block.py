"""The HSTU block, against NumPy; what it cannot see is tested with the user tower."""

import numpy as np
import pytest

from unified_ranker.towers.causal_block import distance_bucket
from unified_ranker.towers.hstu_block import HstuBlock
from unified_ranker.towers.tensorflow import tf
from unified_ranker.towers.time import gap_bucket

DIM, HEADS, LENGTH, BATCH, LONGEST = 8, 2, 20, 3, 50
RNG = np.random.default_rng(5)
X = RNG.normal(size=(BATCH, LENGTH, DIM)).astype(np.float32)
MOMENTS = np.cumsum(RNG.integers(0, 10**6, (BATCH, LENGTH)), 1)


@pytest.fixture(scope="module")
def block():
    tf.keras.utils.set_random_seed(4)
    block = HstuBlock(DIM, HEADS, dropout=0.5, longest=LONGEST)
    run(block)
    for variable in block.trainable_variables:
        variable.assign_add(RNG.normal(0, 0.3, variable.shape))
    return block


def run(block, x=X, moments=MOMENTS, training=False):
    width = x.shape[1]
    distance = np.tile(np.arange(width)[:, None] - np.arange(width)[None], (len(x), 1, 1)).astype(np.int32)
    return block(tf.constant(x), tf.constant(distance), tf.constant(moments), training=training).numpy()


def silu(x):
    return x / (1 + np.exp(-x))


def normalise(x, norm):
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-6) * norm.gamma.numpy() + norm.beta.numpy()


def test_a_block_is_what_numpy_says(block):
    u, v, q, k = np.split(silu(normalise(X, block.norms[0]) @ block.mix.kernel.numpy() + block.mix.bias.numpy()), 4, -1)
    distance = np.arange(LENGTH)[:, None] - np.arange(LENGTH)[None]
    between = np.maximum(MOMENTS[:, :, None] - MOMENTS[:, None, :], 0)
    far = block.distance_bias.numpy()[distance_bucket(tf.constant(distance, tf.int32)).numpy()]
    long = block.time_bias.numpy()[gap_bucket(tf.constant(between)).numpy()]
    attended = np.empty_like(X)
    for head, columns in enumerate((slice(0, 4), slice(4, 8))):
        scores = np.einsum("bid,bjd->bij", q[..., columns], k[..., columns]) + far[..., head] + long[..., head]
        weights = np.where(distance >= 0, silu(scores), 0) / LONGEST
        attended[..., columns] = np.einsum("bij,bjd->bid", weights, v[..., columns])
    expected = X + (normalise(attended, block.norms[1]) * u) @ block.out.kernel.numpy() + block.out.bias.numpy()
    np.testing.assert_allclose(run(block), expected, atol=1e-3)


def test_what_comes_later_changes_nothing(block):
    changed, later = X.copy(), MOMENTS.copy()
    changed[:, 12:] += 3
    later[:, 12:] += 10**7
    after = run(block, changed, later)
    np.testing.assert_array_equal(after[:, :12], run(block)[:, :12])
    assert (np.abs(after - run(block))[:, 12:].max(-1) > 1e-3).all()


def test_when_events_happened_tells(block):
    apart = run(block, moments=MOMENTS * 50)
    np.testing.assert_allclose(apart[:, 0], run(block)[:, 0], atol=1e-6)
    assert (np.abs(apart - run(block))[:, -1].max(-1) > 1e-4).all()
    moved = run(block, moments=MOMENTS + 12345)
    np.testing.assert_array_equal(moved, run(block), "only times between events count")


def test_like_events_add_up():
    """A softmax shares its weight out: twice the same events, the same answer. Pointwise, they count twice."""
    block = HstuBlock(DIM, 1, 0.0, LONGEST)
    sums = []

    def note(attended, *_, **__):
        sums.append(attended.numpy())
        return attended

    one = np.ones((1, 1, DIM), np.float32) * np.arange(DIM)
    run(block, one, np.zeros((1, 1), np.int64))
    block.norms[1].call = note
    for times in (2, 6):
        run(block, np.tile(one, (1, times, 1)), np.zeros((1, times), np.int64))
    np.testing.assert_allclose(sums[1][0, -1], 3 * sums[0][0, -1], rtol=1e-4)
