"""Crossed features, and the tasks that do without."""

import numpy as np
import pytest

from unified_ranker.tensorflow import tf
from unified_ranker.towers.crosses import TaskCrosses

RANK, WIDTH = 2, 5
TASKS = tf.constant([1, 2, 0], tf.int64)


def features(*inner):
    return np.random.default_rng(4).normal(size=(3, *inner, WIDTH)).astype(np.float32)


@pytest.mark.parametrize("inner", [(), (4,), (2, 3)])
def test_a_cross_is_the_features_times_what_a_low_rank_makes_of_them(inner):
    """DCN-v2, equation 1: x0 * (W x + b) + x, once for each layer; the unknown task 0 has it, too."""
    crosses, x0 = TaskCrosses(2, RANK, (True, False)), features(*inner)
    found = crosses(tf.constant(x0), TASKS).numpy()
    expected = x0
    for down, up, bias in zip(*[iter(weight.numpy() for weight in crosses.weights)] * 3, strict=True):
        expected = x0 * (expected @ down @ up + bias) + expected
    expected[1] = x0[1]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert np.abs(expected[[0, 2]] - x0[[0, 2]]).max() > 1e-3


@pytest.mark.parametrize(("layers", "wanted"), [(0, (False, True)), (1, (True, True)), (1, ())])
def test_where_nobody_does_without_or_there_are_none_nothing_is_added_to_the_graph(layers, wanted):
    crosses = TaskCrosses(layers, RANK, wanted)
    function = tf.function(lambda x: crosses(x, TASKS), autograph=False)
    graph = function.get_concrete_function(tf.TensorSpec([3, WIDTH])).graph
    assert not [operation for operation in graph.get_operations() if "Gather" in operation.type]
