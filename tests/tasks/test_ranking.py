"""The ranking objective: which candidates, as of when, and the loss over them."""

import numpy as np
import pytest
import tiny_world
from encoded_toy import encoded_state, labels

from unified_ranker.core.times import NEVER
from unified_ranker.tasks.head_groups import HeadGroups
from unified_ranker.tasks.item_vectors import ItemVectors
from unified_ranker.tasks.log_q import chance_among
from unified_ranker.tasks.losses import softmax_over_candidates
from unified_ranker.tasks.ranking import RankingObjective
from unified_ranker.towers.tensorflow import tf

ITEMS, ROWS, CANDIDATES, HEADS = 30, 40, 11, 3
RNG = np.random.default_rng(7)
VECTORS = tf.constant(RNG.normal(size=(ITEMS, 4)), tf.float32)
CREATED = np.where(np.arange(ITEMS) < 25, 0, 1000 + np.arange(ITEMS))
COSINES = tf.constant(RNG.uniform(-1, 1, (ROWS, ITEMS)), tf.float32)
NOTHING = tf.zeros([ROWS, 0], tf.int64)
ITEM = RNG.integers(0, 25, ROWS)
TASK = tf.constant(RNG.integers(1, 4, ROWS), tf.int64)
HEAD = RNG.integers(0, HEADS, ROWS)
TIME = RNG.integers(1, 3, ROWS) * 1000 - 1
STATE = encoded_state(ROWS, 4, task=TASK, timestamp=tf.constant(TIME))
LABELS = labels(ITEM, head=tf.constant(HEAD))


class Recorder:
    """Stands in for the model: scores by the vectors, and keeps what it was given."""

    def __init__(self):
        self.calibration = tf.Variable(np.zeros((4, HEADS, 2), np.float32))
        self.weights = tf.Variable(np.random.default_rng(8).normal(size=(4, HEADS)).astype(np.float32))

        self.signals = self

    def features(self, request, candidates, time):
        return tf.cast(candidates[..., None] * time[:, None, None], tf.float32)

    def rank(self, state, items, quality, signals, training):
        self.items, self.quality, self.linked, self.training = items, quality, signals, training
        self.logits = items @ self.weights
        return tf.reduce_sum(self.logits, -1), self.logits, items[..., 0]

    def head_losses(self, batch, task):
        return HeadGroups(tiny_world.config()).loss(batch, tf.gather(self.calibration, task))

    def indices(self):
        """Return the candidates `[rows, candidates]`, found again by their vectors."""
        same = np.abs(self.items.numpy()[:, :, None] - VECTORS.numpy()[None, None]).max(-1) < 1e-6
        assert (same.sum(-1) == 1).all()
        return same.argmax(-1)


def quality_of(item, time):
    return np.stack([item, time, item * 0, item + time], 1).astype(np.float32)


@pytest.fixture
def objective():
    tf.random.set_seed(9)
    training = {"ranking_examples": 16, "ranking_candidates": CANDIDATES}
    return RankingObjective(tiny_world.config(training), quality_of)


def run(objective, scores=COSINES, items=None, proposed=NOTHING, refused=NOTHING):
    model = Recorder()
    items = items or ItemVectors(None, VECTORS, tf.constant(CREATED))
    return objective(STATE, LABELS, scores, proposed, proposed, refused, items, model, training=True).numpy(), model


class Bias:
    """Knows nothing but a number an item."""

    def __init__(self, items):
        self.number = tf.Variable(np.zeros(items, np.float32))
        self.signals = self

    def features(self, request, candidates, time):
        self.candidates = candidates
        return tf.zeros([tf.shape(candidates)[0], tf.shape(candidates)[1], 0])

    def rank(self, state, vectors, quality, signals, training):
        logits = tf.gather(self.number, self.candidates)[..., None]
        return logits[..., 0], logits, logits[..., 0]

    def head_losses(self, batch, task):
        corrected = batch.logits[..., 0] - tf.math.log(batch.drawn)
        return softmax_over_candidates(corrected, tf.zeros_like(batch.head), batch.allowed)


def test_the_head_learns_what_is_popular_though_batches_hold_it_more_often():
    """A batch holds a part of the catalogue, and nearly always what is popular: that must not count against it."""
    items, positives, uniform, steps = 200, 60, 20, 400
    rng = np.random.default_rng(3)
    share = (1 / np.arange(1, items + 1)) / (1 / np.arange(1, items + 1)).sum()
    training = {"ranking_examples": positives, "ranking_candidates": 40}
    objective = RankingObjective(tiny_world.config(training), lambda item, time: np.zeros((len(item), 4), np.float32))

    def learnt(corrected):
        tf.random.set_seed(2)
        model, optimizer = Bias(items), tf.keras.optimizers.legacy.Adam(0.05)

        @tf.function(input_signature=[tf.TensorSpec([positives], tf.int64), tf.TensorSpec([None], tf.int64)])
        def step(chosen, ids):
            included = chance_among(tf.gather(tf.constant(share, tf.float32), ids), items, positives, uniform)
            state = encoded_state(positives, 4)
            created = tf.fill(tf.shape(ids), tf.constant(NEVER, tf.int64))
            batch = ItemVectors(ids, tf.zeros([tf.size(ids), 4]), created, included if corrected else None)
            nothing = tf.zeros([positives, 0], tf.int64)
            with tf.GradientTape() as tape:
                scores = tf.zeros([positives, tf.size(ids)])
                loss = tf.reduce_mean(objective(state, labels(chosen), scores, nothing, nothing, nothing, batch, model))
            optimizer.apply_gradients([(tape.gradient(loss, model.number), model.number)])

        for _ in range(steps):
            chosen = rng.choice(items, positives, p=share)
            step(chosen, np.unique(np.concatenate([chosen, rng.integers(0, items, uniform)])))
        # The slope of what was learnt over the true log share, among items that were seen often enough.
        return np.polyfit(np.log(share[:60]), model.number.numpy()[:60], 1)[0]

    assert learnt(corrected=True) == pytest.approx(1.0, abs=0.15)
    assert learnt(corrected=False) < 0.7


def test_what_users_refused_is_ranked_below_what_nobody_chose():
    """Of fifty items forty are chosen; of the ten others five are refused by everybody, and nothing else tells them."""
    items, rows, steps = 50, 64, 150
    rng = np.random.default_rng(4)
    training = {"ranking_examples": rows, "ranking_candidates": 20}
    objective = RankingObjective(tiny_world.config(training), lambda item, time: np.zeros((len(item), 4), np.float32))
    batch = ItemVectors(None, tf.zeros([items, 4]), -tf.ones([items], tf.int64))

    def learnt(refused):
        tf.random.set_seed(2)
        model, optimizer = Bias(items), tf.keras.optimizers.legacy.SGD(5.0)
        nothing = tf.zeros([rows, 0], tf.int64)
        for _ in range(steps):
            chosen, state = labels(rng.integers(0, 40, rows)), encoded_state(rows, 4)
            with tf.GradientTape() as tape:
                scores = tf.zeros([rows, items])
                loss = tf.reduce_mean(objective(state, chosen, scores, nothing, nothing, refused, batch, model))
            optimizer.apply_gradients([(tape.gradient(loss, model.number), model.number)])
        number = model.number.numpy()
        return number[40:45].mean() - number[45:].mean()

    one_each = np.append(rng.integers(40, 45, (rows, 1)), np.full((rows, 1), -1), 1)
    # A refused item counts about twice as much against what is chosen: the log of 2 is 0.7.
    assert abs(learnt(tf.zeros([rows, 0], tf.int64))) < 0.15
    assert learnt(tf.constant(one_each)) < -0.4


def test_refused_items_are_compared_unless_they_are_chosen_or_did_not_exist(objective):
    """A refused item counts as one of the uniform draw, whatever its score; -1 is no item."""
    refused = np.stack([ITEM, (ITEM + 1) % 25, np.full(ROWS, 27), np.full(ROWS, -1)], 1)
    loss, model = run(objective, refused=tf.constant(refused))
    plain, _ = run(objective)
    indices = model.indices()
    np.testing.assert_array_equal(indices[:, -4:-1], refused[:, :-1])
    np.testing.assert_array_equal(indices[:, :-4].shape, (ROWS, CANDIDATES))
    for row in range(ROWS):
        allowed = np.append(True, indices[row, 1:] != ITEM[row]) & (TIME[row] >= CREATED[indices[row]])
        allowed[-1] = False
        drawn = np.append(drawn_share(row, TIME[row])[indices[row, :-4]], np.full(4, 5 / ITEMS))
        logits = model.logits.numpy()[row, :, HEAD[row]] - np.log(drawn)
        logits = np.where(allowed, logits, -1e9)
        softmax = np.log(np.exp(logits - logits.max()).sum()) + logits.max() - logits[0]
        chance = 1 / (1 + np.exp(-model.logits.numpy()[row, :, HEAD[row]]))
        calibration = (-np.log(chance[0]) - np.log1p(-chance[1:])[allowed[1:]].sum()) / len(chance)
        assert loss[row] == pytest.approx(softmax + calibration, rel=1e-3)
    assert (loss > plain).mean() > 0.5


def drawn_share(row, time):
    """How often each item is drawn: five times by retrieval's view of those that existed, five times uniformly."""
    likely = np.where(time >= CREATED, np.exp(COSINES.numpy()[row].astype(np.float64) / 0.14), 0)
    return 1 - (1 - likely / likely.sum()) ** 5 + 5 / ITEMS


def test_the_positive_comes_first(objective):
    _, model = run(objective)
    np.testing.assert_array_equal(model.indices()[:, 0], ITEM)
    assert model.indices().shape == (ROWS, CANDIDATES)
    assert model.training


def test_the_loss_is_a_softmax_over_candidates_and_a_calibration(objective):
    loss, model = run(objective)
    indices, target, time = model.indices(), ITEM, TIME
    expected = []
    for row in range(ROWS):
        logits = model.logits.numpy()[row, :, HEAD[row]].astype(np.float64)
        keep = (indices[row] != target[row]) & (CREATED[indices[row]] <= time[row])
        keep[0] = True
        corrected = logits - np.log(drawn_share(row, time[row])[indices[row]])
        softmax = np.log(np.exp(corrected[keep]).sum()) - corrected[0]
        chance = 1 / (1 + np.exp(-logits))
        calibration = -np.log(chance[0]) - np.log(1 - chance[1:][keep[1:]]).sum()
        expected.append(softmax + calibration / CANDIDATES)
    np.testing.assert_allclose(loss, expected, rtol=1e-4)


def test_some_candidates_are_of_each_kind_that_does_not_count(objective):
    """What the test above leaves out of the loss does occur in it."""
    _, model = run(objective)
    indices = model.indices()[:, 1:]
    assert (indices == ITEM[:, None]).any()
    assert (CREATED[indices] > TIME[:, None]).any()


def test_quality_is_as_of_each_example(objective):
    _, model = run(objective)
    times = np.repeat(TIME, CANDIDATES)
    expected = quality_of(model.indices().reshape(-1), times).reshape(ROWS, CANDIDATES, 4)
    np.testing.assert_array_equal(model.quality, expected)


def test_a_batch_that_holds_a_part_of_the_catalogue(objective):
    ids = np.arange(0, ITEMS, 2)
    items = ItemVectors(
        tf.constant(ids), tf.gather(VECTORS, ids), tf.constant(np.where(np.arange(len(ids)) < 12, 0, 5000))
    )
    even = labels(ITEM // 2 * 2, head=tf.constant(HEAD))
    model = Recorder()
    objective(STATE, even, tf.gather(COSINES, ids, axis=1), NOTHING, NOTHING, NOTHING, items, model)
    np.testing.assert_array_equal(model.indices()[:, 0], even.item)
    assert (model.indices() % 2 == 0).all()
    np.testing.assert_array_equal(model.quality[..., 0], model.indices())


def test_half_of_the_candidates_are_likely_and_differ(objective):
    likely = COSINES.numpy() * 0 - 1
    likely[:, :5] = 1
    _, model = run(objective, tf.constant(likely))
    hard = model.indices()[:, 1:6]
    assert (hard < 5).all()
    assert all(len(set(row)) == 5 for row in hard.tolist())
    uniform = model.indices()[:, 6:]
    assert 0.05 < (uniform < 5).mean() < 0.35


def test_likely_candidates_existed(objective):
    best_are_new = tf.concat([COSINES[:, :25] * 0 - 1, COSINES[:, 25:] * 0 + 1], 1)
    _, model = run(objective, best_are_new)
    hard = model.indices()[:, 1:6]
    assert (CREATED[hard] <= TIME[:, None]).all()


def test_gradients_reach_the_head_and_never_the_choice(objective):
    model, scores = Recorder(), tf.Variable(COSINES)
    with tf.GradientTape() as tape:
        batch = ItemVectors(None, VECTORS, tf.constant(CREATED))
        loss = tf.reduce_sum(objective(STATE, LABELS, scores, NOTHING, NOTHING, NOTHING, batch, model))
    choice, weights, calibration = tape.gradient(loss, [scores, model.weights, model.calibration])
    assert choice is None
    assert np.abs(weights).max() > 0.1
    assert np.abs(tf.convert_to_tensor(calibration)).max() > 0.01


def test_calibration_does_not_move_the_head(objective):
    gradients = []
    for shift in (0.0, 5.0):
        tf.random.set_seed(10)
        model = Recorder()
        model.calibration.assign_add(tf.fill(model.calibration.shape, shift))
        with tf.GradientTape() as tape:
            batch = ItemVectors(None, VECTORS, tf.constant(CREATED))
            loss = objective(STATE, LABELS, COSINES, NOTHING, NOTHING, NOTHING, batch, model)
        gradients.append(tape.gradient(loss, model.weights))
    np.testing.assert_allclose(*gradients, atol=1e-5)


def test_rows_are_drawn_up_to_the_declared_number(objective):
    chosen = objective.choose(TASK).numpy()
    assert len(set(chosen.tolist())) == 16
    assert set(chosen.tolist()) < set(range(ROWS))
    assert sorted(objective.choose(TASK[:3]).numpy().tolist()) == [0, 1, 2]


def test_what_the_signals_propose_is_ranked_as_far_as_it_is_there(objective):
    proposed = tf.constant(np.tile([[3, -1, 26]], (ROWS, 1)), tf.int64)
    _, model = run(objective, proposed=proposed)
    indices = model.indices()
    assert indices.shape == (ROWS, CANDIDATES)
    assert (indices[:, 1] == 3).all()
    assert (indices[:, 3] == 26).all()


def test_signals_are_as_of_each_example(objective):
    _, model = run(objective)
    np.testing.assert_array_equal(model.linked[..., 0], model.indices() * TIME[:, None])


def test_proposals_are_drawn_among_those_that_are_given(objective):
    proposals = tf.constant([[5, -1, 7, -1, 9, -1], [-1, -1, -1, -1, -1, 4]], tf.int64)
    drawn = np.concatenate([objective.draw_proposals(proposals).numpy() for _ in range(20)], 1)
    assert objective.draw_proposals(proposals).shape == (2, (CANDIDATES - 1) // 3)
    assert set(drawn[0].tolist()) == {5, 7, 9}
    assert set(drawn[1].tolist()) == {4, -1}


@pytest.mark.parametrize(("balance", "least", "most"), [(0.0, 0, 4), (1.0, 10, 16)])
def test_a_rare_task_gets_its_share_of_the_rows(balance, least, most):
    tf.random.set_seed(1)
    training = {"ranking_examples": 32, "ranking_candidates": CANDIDATES, "ranking_balance": balance}
    objective = RankingObjective(tiny_world.config(training), quality_of)
    task = tf.constant([1] * 380 + [2] * 20, tf.int64)
    drawn = [int((tf.gather(task, objective.choose(task)) == 2).numpy().sum()) for _ in range(10)]
    assert least <= np.mean(drawn) <= most


def test_drawn_as_often_as_the_correction_says(objective):
    """What is drawn without replacement is drawn a little less often than the formula for draws with it."""
    tf.random.set_seed(3)
    proposals = tf.constant(np.tile([[2, 9, 11, 17]], (ROWS, 1)), tf.int64)
    counts, rounds = np.zeros((ROWS, ITEMS)), 300
    _, chance = objective._candidates(COSINES, 3)
    everything = tf.constant(np.tile(np.arange(ITEMS), (ROWS, 1)))
    expected = (chance + objective._proposed_share(proposals, everything)).numpy()
    for _ in range(rounds):
        drawn, _ = objective._candidates(COSINES, 3)
        both = np.concatenate([objective.draw_proposals(proposals).numpy(), drawn.numpy()], 1)
        np.add.at(counts, (np.arange(ROWS)[:, None], both), 1)
    ratio = (counts / rounds) / expected
    assert 0.9 < ratio.mean() < 1.2
    assert np.corrcoef(counts.ravel(), expected.ravel())[0, 1] > 0.98
