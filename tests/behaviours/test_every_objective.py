"""Behaviours of every retrieval objective: what it learns, from which rows and items, and as of when."""

from dataclasses import replace

import numpy as np
import pytest
import tiny_world
from encoded_toy import encoded_state, labels

from unified_ranker.tasks.item_vectors import ItemVectors
from unified_ranker.tasks.objectives.base import OBJECTIVES, RetrievalBatch
from unified_ranker.tasks.retrieval import RetrievalObjective
from unified_ranker.towers.tensorflow import tf

ITEMS, ROWS, DIM, DRAWN = 12, 6, 8, 64
NOW, LATE = 100, 11
"""Item 11 is created after all requests."""
OWN = np.array([0, 2, 4, 6, 8, 10])
RNG = np.random.default_rng(9)
SHARE = RNG.dirichlet(np.full(ITEMS, 3.0))


@pytest.fixture(params=list(OBJECTIVES))
def kind(request):
    return OBJECTIVES[request.param](type=request.param)


@pytest.fixture
def loss(kind):
    tf.random.set_seed(3)
    return kind.build(SHARE, 0.1)


def unit(values):
    return tf.math.l2_normalize(tf.constant(values, tf.float32), -1)


def vectors(seed=1, rows=ITEMS):
    return unit(np.random.default_rng(seed).normal(size=(rows, DIM)))


def items(found=None):
    created = np.where(np.arange(ITEMS) == LATE, NOW + 1, 0)
    return ItemVectors(None, vectors() if found is None else found, tf.constant(created))


def batch(embedding=None, given=None, targets=None, decay=None):
    """Six examples of one next item each, or of several; more items are drawn than there are."""
    targets = OWN[:, None] if targets is None else targets
    decay = np.ones(targets.shape) if decay is None else decay
    state = encoded_state(
        ROWS,
        DIM,
        embedding=vectors(2, ROWS) if embedding is None else embedding,
        timestamp=tf.fill([ROWS], np.int64(NOW)),
    )
    asked = labels(targets[:, 0], targets=tf.constant(targets, tf.int64), decay=tf.constant(decay, tf.float32))
    drawn = tf.constant(np.random.default_rng(4).integers(0, ITEMS, DRAWN))
    return RetrievalBatch(state, asked, asked.decay, items() if given is None else given, drawn)


def rows(*numbers):
    return tf.constant(numbers or (*range(ROWS),), tf.int64)


def test_every_row_has_a_finite_loss_and_a_gradient(loss):
    embedding = tf.Variable(vectors(2, ROWS))
    with tf.GradientTape() as tape:
        found = loss.of_rows(batch(embedding * 1.0), rows())
    assert found.shape == (ROWS,)
    assert (found.numpy() > 0).all()
    gradient = tape.gradient(found, embedding)
    assert np.isfinite(gradient).all()
    assert (np.abs(gradient).max(1) > 1e-3).all()


def test_following_the_gradient_puts_each_rows_item_first(loss):
    embedding = tf.Variable(vectors(2, ROWS))

    @tf.function(autograph=False)
    def step():
        with tf.GradientTape() as tape:
            found = tf.reduce_sum(loss.of_rows(batch(tf.math.l2_normalize(embedding, 1)), rows()))
        embedding.assign_sub(0.03 * tape.gradient(found, embedding))
        return found

    losses = [float(step()) for _ in range(150)]
    assert losses[-1] < 0.5 * losses[0]
    scores = (embedding @ tf.transpose(vectors())).numpy()
    scores[:, LATE] = -np.inf
    np.testing.assert_array_equal(scores.argmax(1), OWN)


def test_item_vectors_learn_too(loss):
    table = tf.Variable(vectors())
    with tf.GradientTape() as tape:
        found = tf.reduce_sum(loss.of_rows(batch(given=items(table * 1.0)), rows()))
    gradient = tf.convert_to_tensor(tape.gradient(found, table)).numpy()
    assert (np.abs(gradient[OWN]).max(1) > 1e-3).all()


def test_only_the_rows_that_are_asked_for_count(loss):
    some = rows(1, 2, 5)
    before = loss.of_rows(batch(), some)
    assert before.shape == (3,)
    kept = np.isin(np.arange(ROWS), some)[:, None]
    other = tf.where(kept, vectors(2, ROWS), vectors(8, ROWS))
    targets = np.where(kept, OWN[:, None], 7)
    np.testing.assert_allclose(loss.of_rows(batch(other, targets=targets), some), before, rtol=1e-6)


def test_no_row_is_no_error(loss):
    assert loss.of_rows(batch(), tf.zeros([0], tf.int64)).shape == (0,)


def test_what_did_not_exist_yet_is_no_candidate(loss):
    table = vectors().numpy()
    before = loss.of_rows(batch(), rows())
    table[LATE] = vectors(2, ROWS).numpy()[0]
    np.testing.assert_allclose(loss.of_rows(batch(given=items(tf.constant(table))), rows()), before, rtol=1e-5)
    table[1] = vectors(2, ROWS).numpy()[0]
    assert loss.of_rows(batch(given=items(tf.constant(table))), rows()).numpy()[0] > before.numpy()[0] + 0.01


def test_where_an_item_is_dated_after_its_own_event_the_event_is_believed(loss):
    targets = OWN[:, None].copy()
    targets[0] = LATE
    found = loss.of_rows(batch(targets=targets), rows()).numpy()
    assert np.isfinite(found).all()
    nearer = tf.concat([vectors()[LATE][None], vectors(2, ROWS)[1:]], 0)
    assert loss.of_rows(batch(nearer, targets=targets), rows()).numpy()[0] < found[0]


def test_next_items_without_weight_or_absent_teach_nothing(loss):
    """-1 stands for fewer next items; a weight of 0 for those that did not exist yet."""
    before = loss.of_rows(batch(), rows())
    for more, weight in ((-1, 0.5), (3, 0.0)):
        targets = np.stack([OWN, np.full(ROWS, more)], 1)
        decay = np.tile([[1.0, weight]], (ROWS, 1))
        np.testing.assert_allclose(loss.of_rows(batch(targets=targets, decay=decay), rows()), before, rtol=1e-5)


def test_later_next_items_are_learnt_in_part(loss):
    """Over many draws: the query of an example moves to its second next item, too."""
    targets, decay = np.stack([OWN, np.full(ROWS, 3)], 1), np.tile([[1.0, 1.0]], (ROWS, 1))
    at_second = tf.tile(vectors()[3][None], [ROWS, 1])
    both = np.mean([loss.of_rows(batch(at_second, targets=targets, decay=decay), rows()) for _ in range(40)], 0)
    assert (both < loss.of_rows(batch(at_second), rows()).numpy()).all()


def test_a_batch_needs_no_more_items_than_it_says(kind, loss):
    """Without the whole catalogue: those of the targets and those that are drawn."""
    whole = batch()
    drawn = whole.drawn[: kind.draws]
    ids = tf.sort(tf.unique(tf.concat([tf.constant(OWN), drawn], 0))[0])
    if kind.whole_catalogue:
        ids = tf.range(ITEMS, dtype=tf.int64)
    given = items()
    part = ItemVectors(ids, tf.gather(given.vectors, ids), tf.gather(given.created, ids))
    few = replace(whole, items=given if kind.whole_catalogue else part, drawn=drawn)
    np.testing.assert_allclose(loss.of_rows(few, rows()), loss.of_rows(whole, rows()), rtol=1e-5)


def test_traced_without_autograph_it_is_the_same(loss):
    traced = tf.function(lambda: loss.of_rows(batch(), rows()), autograph=False)
    np.testing.assert_allclose(traced(), loss.of_rows(batch(), rows()), rtol=1e-5)


@pytest.mark.parametrize("other", list(OBJECTIVES))
def test_tasks_of_other_objectives_stand_beside_it(kind, other):
    """Each row has the loss of its own task's objective, whatever the others declare."""
    chosen = np.ones((3, ITEMS), int)
    config = tiny_world.config(search={"negatives": kind.model_dump()}, home_feed={"negatives": {"type": other}})
    whole = RetrievalObjective(config, chosen)
    given, task = batch(), np.array([1, 2, 3, 1, 2, 3])
    found = whole(replace(given.query, task=tf.constant(task)), given.labels, given.items, given.drawn).numpy()
    sharing = [number for number, one in enumerate(config.tasks.values(), start=1) if one.negatives == kind]
    mine = np.flatnonzero(np.isin(task, sharing))
    alone = config.tasks["search"].negatives.build(chosen[0] / ITEMS, config.project.training.temperature)
    np.testing.assert_allclose(found[mine], alone.of_rows(given, rows(*mine)), rtol=1e-5)
