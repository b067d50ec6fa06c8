"""Sampled negatives, against a softmax with log-Q in NumPy."""

import numpy as np
import pytest

from unified_ranker.tasks.log_q import chance_among
from unified_ranker.tasks.objectives.sampled import SampledItems, SampledLoss, draw_target
from unified_ranker.towers.tensorflow import tf

ITEMS, ROWS, UNIFORM, DIM, TEMPERATURE = 12, 5, 4, 8, 0.1
RNG = np.random.default_rng(2)
SHARE = RNG.dirichlet(np.ones(ITEMS))
SHARE[7] = 0.0
QUERIES, VECTORS = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in RNG.normal(size=(2, ITEMS, DIM)))
# Items 3 and 9 are the positives of two rows each; 0 and 3 are drawn again, 7 has no positive in the log.
IDS = np.array([3, 9, 3, 1, 9, 0, 3, 7, 5])
EXISTED = np.ones((ROWS, len(IDS)), bool)


def loss(ids=IDS, vectors=None, existed=EXISTED, **settings):
    config = SampledItems(type="sampled", uniform=UNIFORM, **settings)
    vectors = VECTORS[ids] if vectors is None else vectors
    sampled = SampledLoss(config, SHARE, TEMPERATURE)
    queries, vectors = (tf.constant(x, tf.float32) for x in (QUERIES[:ROWS], vectors))
    return sampled.among(queries, vectors, tf.constant(ids, tf.int64), tf.constant(existed)).numpy()


def logits(ids=IDS):
    """Cosines over temperature, corrected by the chance that an item is among the candidates at least once."""
    q = np.clip(SHARE[ids], 0.01 / ITEMS, 0.99)
    chance = 1 - (1 - q) ** ROWS * (1 - 1 / ITEMS) ** UNIFORM
    return QUERIES[:ROWS] @ VECTORS[ids].T / TEMPERATURE - np.log(chance)


def cross_entropy(row, place, keep):
    kept = np.append(np.flatnonzero(keep & (np.arange(len(row)) != place)), place)
    return np.log(np.exp(row[kept]).sum()) - row[place]


def no_accident(place):
    return IDS[place] != IDS


def test_loss_is_the_corrected_softmax_without_accidental_hits():
    expected = [cross_entropy(row, i, no_accident(i)) for i, row in enumerate(logits())]
    np.testing.assert_allclose(loss(), expected, rtol=1e-4)


def test_the_correction_is_the_chance_of_being_drawn():
    """What the logits are corrected by is how often an item really is among the candidates."""
    rng = np.random.default_rng(3)
    share = SHARE[:6] / SHARE[:6].sum()
    drawn = np.concatenate([rng.choice(6, (20_000, ROWS), p=share), rng.integers(0, 6, (20_000, UNIFORM))], 1)
    seen = np.array([(drawn == item).any(1).mean() for item in range(6)])
    sampled = SampledLoss(SampledItems(type="sampled", uniform=UNIFORM), share, 1.0)
    queries, ids = tf.zeros([ROWS, DIM]), tf.constant(np.arange(ROWS), tf.int64)
    existed = np.zeros((ROWS, ROWS), bool)
    existed[0, 1] = True
    found = sampled.among(queries, tf.zeros([ROWS, DIM]), ids, tf.constant(existed)).numpy()[0]
    # Equal vectors leave only the corrections: log(1 + chance of the own item / chance of the other).
    np.testing.assert_allclose(found, np.log(1 + seen[0] / seen[1]), rtol=0.03)


def test_an_accidental_hit_has_no_effect():
    """Other copies of a row's own positive may score what they like."""
    vectors = VECTORS[IDS]
    changed = vectors.copy()
    changed[[2, 6]] = -5 * vectors[[2, 6]]
    before, after = loss(), loss(vectors=changed)
    np.testing.assert_allclose(after[0], before[0], rtol=1e-5)
    assert (np.abs(after - before)[[1, 3, 4]] > 1e-3).all()


def test_an_item_that_did_not_exist_has_no_effect():
    existed = EXISTED.copy()
    existed[0, 5] = existed[3, 3] = False
    expected = [cross_entropy(row, i, no_accident(i)) for i, row in enumerate(logits())]
    expected[0] = cross_entropy(logits()[0], 0, no_accident(0) & existed[0])
    np.testing.assert_allclose(loss(existed=existed), expected, rtol=1e-4)


@pytest.mark.parametrize("hard", [1, 3, 100])
def test_hard_negatives_keep_the_highest_scores(hard):
    expected = []
    for i, row in enumerate(logits()):
        others = np.sort(row[no_accident(i)])[::-1][:hard]
        expected.append(np.log(np.exp(np.append(others, row[i])).sum()) - row[i])
    np.testing.assert_allclose(loss(hard=hard), expected, rtol=1e-4)


def test_a_batch_without_a_row_of_the_task():
    sampled = SampledLoss(SampledItems(type="sampled", uniform=UNIFORM, hard=2), SHARE, TEMPERATURE)
    vectors, ids = tf.constant(VECTORS[:UNIFORM], tf.float32), tf.range(UNIFORM, dtype=tf.int64)
    assert sampled.among(tf.zeros([0, DIM]), vectors, ids, tf.ones([0, UNIFORM], tf.bool)).shape == (0,)


def test_traced_without_autograph_it_is_the_same():
    """As the model is: AutoGraph is off for its own code, and TFRS' needs it."""
    sampled = SampledLoss(SampledItems(type="sampled", uniform=UNIFORM), SHARE, TEMPERATURE)
    traced = tf.function(sampled.among, autograph=False)
    arguments = (tf.constant(QUERIES[:ROWS], tf.float32), tf.constant(VECTORS[IDS], tf.float32))
    found = traced(*arguments, tf.constant(IDS, tf.int64), tf.constant(EXISTED))
    np.testing.assert_allclose(found, loss(), rtol=1e-5)


@pytest.mark.parametrize(
    ("progress", "after", "ramp", "share"),
    [
        (0.0, 0.3, 0.2, 0.0),
        (0.3, 0.3, 0.2, 0.0),
        (0.4, 0.3, 0.2, 0.5),
        (0.5, 0.3, 0.2, 1.0),
        (1.0, 0.3, 0.2, 1.0),
        (0.29, 0.3, 0.0, 0.0),
        (0.31, 0.3, 0.0, 1.0),
        (0.25, 0.0, 1.0, 0.25),
    ],
)
def test_hard_negatives_ramp_up_after_a_warm_up(progress, after, ramp, share):
    """Before, the loss is over all negatives; behind the ramp over the hardest alone; between them a part of each."""
    config = SampledItems(type="sampled", uniform=UNIFORM, hard=2, hard_after=after, hard_ramp=ramp)
    sampled = SampledLoss(config, SHARE, TEMPERATURE)
    sampled.progress = lambda: tf.constant(progress)
    queries, vectors = tf.constant(QUERIES[:ROWS], tf.float32), tf.constant(VECTORS[IDS], tf.float32)
    found = sampled.among(queries, vectors, tf.constant(IDS, tf.int64), tf.constant(EXISTED)).numpy()
    easy, hard = loss(), loss(hard=2)
    assert (easy > hard + 1e-3).any()
    np.testing.assert_allclose(found, share * hard + (1 - share) * easy, rtol=1e-4)


def test_a_ramp_that_nobody_follows_is_at_its_end():
    np.testing.assert_allclose(loss(hard=2, hard_after=0.5, hard_ramp=0.5), loss(hard=2), rtol=1e-5)


def test_the_chance_to_be_among_draws_is_what_drawing_gives():
    rng = np.random.default_rng(6)
    share = np.array([0.5, 0.2, 0.1, 0.1, 0.05, 0.05, 0.0])
    rounds = 20_000
    there = np.zeros((rounds, len(share)), bool)
    drawn = np.concatenate([rng.choice(7, (rounds, 4), p=share), rng.integers(0, 7, (rounds, 2))], 1)
    np.put_along_axis(there, drawn, True, 1)
    found = chance_among(tf.constant(share, tf.float32), 7, tf.constant(4), 2).numpy()
    np.testing.assert_allclose(found, there.mean(0), atol=0.015)


@pytest.mark.parametrize("weights", [[1.0, 0.6, 0.2], [1.0, 0.0, 0.0], [0.0, 1.0, 1.0]])
def test_next_items_are_drawn_in_proportion_to_their_weight(weights):
    tf.random.set_seed(5)
    many = 20_000
    drawn = draw_target(tf.tile([[4, 5, 6]], [many, 1]), tf.tile([weights], [many, 1])).numpy()
    share = np.array([(drawn == item).mean() for item in (4, 5, 6)])
    np.testing.assert_allclose(share, np.array(weights) / sum(weights), atol=0.015)


def test_an_absent_target_is_never_drawn():
    tf.random.set_seed(6)
    drawn = draw_target(tf.tile([[4, -1]], [1000, 1]), tf.tile([[1e-6, 1.0]], [1000, 1])).numpy()
    assert (drawn == 4).all()
    assert draw_target(tf.constant([[3], [2]]), tf.ones([2, 1])).numpy().tolist() == [3, 2]
