"""The retrieval objective: next-k targets, and each task by its own negatives."""

from dataclasses import replace

import numpy as np
import pytest
import tiny_world
from encoded_toy import encoded_state, labels

from unified_ranker.tasks.item_vectors import ItemVectors
from unified_ranker.tasks.losses import softmax_over_items
from unified_ranker.tasks.retrieval import RetrievalObjective
from unified_ranker.towers.tensorflow import tf

ITEMS, ROWS, DIM = 9, 6, 4
LONG_AGO = np.iinfo(np.int64).min
RNG = np.random.default_rng(4)
VECTORS = tf.math.l2_normalize(RNG.normal(size=(ITEMS, DIM)).astype(np.float32), 1)
QUERIES = tf.math.l2_normalize(RNG.normal(size=(ROWS, DIM)).astype(np.float32), 1)
# How often each item was chosen by task: what is popular in one is not in another.
CHOSEN = RNG.integers(1, 40, size=(3, ITEMS))
# Tasks 1, 2 and 3 twice each; the last example's second target does not exist yet at its time.
TASK = np.array([1, 2, 3, 1, 2, 3])
QUERY = encoded_state(
    ROWS, DIM, embedding=QUERIES, task=tf.constant(TASK), timestamp=tf.fill([ROWS], tf.constant(100, tf.int64))
)
LABELS = labels(
    [0, 2, 3, 5, 7, 1],
    targets=tf.constant([[0, 1], [2, -1], [3, 4], [5, 6], [7, 2], [1, 8]], tf.int64),
    decay=tf.constant([[1, 0.5], [1, 0], [1, 0.5], [1, 0.5], [1, 0.5], [1, 0.5]], tf.float32),
)
CREATED = tf.constant([LONG_AGO] * 8 + [200], tf.int64)


def objective(**negatives):
    tasks = {name: {"negatives": n} for name, n in negatives.items()}
    return RetrievalObjective(tiny_world.config(**tasks), CHOSEN)


def call(objective, items=None):
    items = items or ItemVectors(None, VECTORS, CREATED)
    return objective(QUERY, LABELS, items, objective.draw()).numpy()


def exact(rows):
    existed = np.tile(np.arange(ITEMS) < 8, (ROWS, 1))
    decay = LABELS.decay.numpy().copy()
    decay[5, 1] = 0
    decay = tf.constant(decay)
    return softmax_over_items(QUERIES / 0.07, VECTORS, LABELS.targets, decay, tf.constant(existed)).numpy()[rows]


def test_all_items():
    np.testing.assert_allclose(call(objective()), exact(slice(None)), rtol=1e-5)


def test_a_task_that_samples_leaves_the_others_exact():
    mixed = objective(more_like_this={"type": "sampled", "uniform": 5})
    tf.random.set_seed(1)
    losses = call(mixed)
    others = [0, 2, 3, 5]
    np.testing.assert_allclose(losses[others], exact(others), rtol=1e-5)
    assert (losses[[1, 4]] > 0).all()
    assert (np.abs(losses[[1, 4]] - exact([1, 4])) > 1e-4).all()


def test_tasks_with_equal_negatives_share_them():
    same, other = {"type": "sampled", "uniform": 3}, {"type": "sampled", "uniform": 4}
    assert objective(search=same, more_like_this=other, home_feed=same).groups == [[1, 3], [2]]
    assert objective(search=same, more_like_this=other).draw().shape == (4,)
    assert objective().draw().shape == (0,)


@pytest.mark.parametrize("together", [("search",), ("search", "home_feed")])
def test_negatives_are_corrected_by_what_the_tasks_that_share_them_chose(together):
    """Others' positives are never among them, so others' popularity must not count."""
    numbers = [["search", "more_like_this", "home_feed"].index(name) + 1 for name in together]
    rows = np.flatnonzero(np.isin(TASK, numbers))
    ids = LABELS.targets.numpy()[rows, 0]
    chosen = CHOSEN[np.array(numbers) - 1].sum(0)
    chance = 1 - (1 - (chosen / chosen.sum())[ids]) ** len(rows)
    logits = QUERIES.numpy()[rows] @ VECTORS.numpy()[ids].T / 0.07 - np.log(chance)
    expected = [np.log(np.exp(row).sum()) - row[i] for i, row in enumerate(logits)]
    one_target = replace(LABELS, targets=LABELS.targets[:, :1], decay=LABELS.decay[:, :1])
    alike = objective(**{name: {"type": "sampled", "uniform": 0} for name in together})
    found = alike(QUERY, one_target, ItemVectors(None, VECTORS, CREATED), alike.draw()).numpy()[rows]
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_a_subset_of_the_items_gives_the_same_losses():
    """With sampling only, a batch holds the items that it needs, and not the catalogue."""
    same = {"type": "sampled", "uniform": 0}
    sampled = objective(search=same, more_like_this=same, home_feed=same)
    needed = tf.constant([0, 1, 2, 3, 4, 5, 6, 7, 8], tf.int64)[1:]
    few = replace(LABELS, targets=tf.maximum(LABELS.targets[:, :1], 1), decay=LABELS.decay[:, :1])
    whole = ItemVectors(None, VECTORS, CREATED)
    part = ItemVectors(needed, tf.gather(VECTORS, needed), tf.gather(CREATED, needed))
    drawn = sampled.draw()
    np.testing.assert_allclose(sampled(QUERY, few, whole, drawn), sampled(QUERY, few, part, drawn), rtol=1e-6)


def test_item_vectors_by_index():
    ids = tf.constant([1, 4, 6], tf.int64)
    part = ItemVectors(ids, tf.gather(VECTORS, ids), tf.gather(CREATED, ids))
    asked = tf.constant([[6, -1], [1, 4]], tf.int64)
    assert part.rows_of(asked).numpy().tolist() == [[2, -1], [0, 1]]
    expected = VECTORS.numpy()[asked.numpy()]
    expected[0, 1] = 0
    np.testing.assert_array_equal(part.at(asked), expected)
    np.testing.assert_array_equal(ItemVectors(None, VECTORS, CREATED).at(asked), expected)
    assert part.created_at(tf.constant([6], tf.int64)).numpy() == [LONG_AGO]
