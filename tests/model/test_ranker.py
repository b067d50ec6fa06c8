"""The model as a whole, in a world whose answers are known."""

import functools

import numpy as np
import pytest
import tiny_world
from encoded_toy import encoded_state

from unified_ranker.core.request import Request, to_arrays
from unified_ranker.model.task_tables import quality_weights, score_weights
from unified_ranker.prepare.log_history import LogHistory
from unified_ranker.tasks.head_groups import HeadGroups
from unified_ranker.tasks.head_kinds.platt import fit_platt
from unified_ranker.towers.tensorflow import tf
from unified_ranker.training.training_job import build_model, make_batches, make_weights

pytestmark = pytest.mark.xdist_group("tiny_model")
NOW = int(tiny_world.START.timestamp()) + tiny_world.DAYS * 86_400
ALL = 2 * tiny_world.COMMUNITY


@pytest.fixture(scope="module")
def model():
    return tiny_world.trained().model


@pytest.fixture(scope="module")
def batch(model):
    examples = tiny_world.prepared().between(None, tiny_world.trained().fit_end)
    batches = make_batches(tiny_world.prepared(), examples, model)
    batches.batch_examples = 300
    return {name: tf.constant(column) for name, column in next(batches.epoch(0)).by_name().items()}


def recommend(task, users, **fields):
    """Return the answers `[requests, 5]`, as numbers of items (-1 = none), with each user's history as of the end."""
    log = LogHistory(tiny_world.prepared())
    requests = [
        Request(
            f"u{u:02}", task, timestamp=NOW, history=log.before(f"u{u:02}", NOW), **{k: v[n] for k, v in fields.items()}
        )
        for n, u in enumerate(users)
    ]
    # The whole history: what was engaged with long ago is no candidate either.
    arrays = to_arrays(requests, 10_000)
    out = tiny_world.call("recommend", **arrays, limit=np.full(len(requests), 5, np.int32))
    return [[int(item[1:]) if item else -1 for item in row] for row in out["item_ids"].astype(str)]


# --- known answers ------------------------------------------------------------------------------------------------


def test_a_word_finds_the_item_that_it_names():
    found = recommend("search", [n % 2 for n in range(ALL)], query=tiny_world.WORDS[:ALL])
    first = [row[0] for row in found]
    assert np.mean(np.array(first) == np.arange(ALL)) >= 0.9


def test_a_source_item_leads_to_its_successor():
    sources = range(ALL)
    users = [source // tiny_world.COMMUNITY for source in sources]
    found = recommend("more_like_this", users, source_item_id=[f"i{n:02}" for n in sources])
    hits = [row[0] == tiny_world.successor(source) for source, row in zip(sources, found, strict=True)]
    assert np.mean(hits) >= 0.8
    assert all(tiny_world.successor(source) in row[:3] for source, row in zip(sources, found, strict=True))


def test_the_home_feed_stays_in_the_community_and_is_new():
    users = range(tiny_world.USERS)
    log = LogHistory(tiny_world.prepared())
    own_first = []
    for user, row in zip(users, recommend("home_feed", users), strict=True):
        history = log.before(f"u{user:02}", NOW)
        liked = history.item_id[(history.task == "home_feed") & (history.value >= 4)]
        assert not set(row) & {int(item[1:]) for item in liked}
        if len(set(liked)) < tiny_world.COMMUNITY:
            own_first.append(row[0] // tiny_world.COMMUNITY == user % 2)
    assert np.mean(own_first) > 0.7


def test_every_loss_falls():
    for name, values in tiny_world.trained().curves.items():
        if "/" in name or name == "loss":
            assert values[-1] < 0.7 * values[0], name


# --- the parts of the model ---------------------------------------------------------------------------------------


def test_gradients_reach_every_part(model, batch):
    with tf.GradientTape() as tape:
        loss = model.compute_loss(batch)
    gradients = tape.gradient(loss, model.trainable_variables)
    silent = {
        variable.name
        for variable, gradient in zip(model.trainable_variables, gradients, strict=True)
        if gradient is None or not np.any(tf.convert_to_tensor(gradient))
    }
    # Of one layer there is nothing to pool. Keys' bias, the gap of an untouched bucket, … would be seen above.
    assert {name.rsplit(":", 1)[0].rsplit("/", 1)[-1] for name in silent} <= {"pool"}
    for gradient in gradients:
        assert np.isfinite(tf.convert_to_tensor(gradient)).all()


def test_examples_that_retrieval_does_not_learn_train_their_head_alone(model, batch):
    (name,) = (name for name in batch if name.endswith("retrieved"))
    none = batch | {name: tf.zeros_like(batch[name])}
    # The tasks' weights of retrieval are 1, and its losses are far above the noise of what is drawn.
    retrieval = float(model.compute_loss(batch, training=False) - model.compute_loss(none, training=False))
    assert retrieval > 0.5
    with tf.GradientTape() as tape:
        loss = model.compute_loss(none, training=False)
    assert float(loss) > 0
    assert all(np.any(gradient) for gradient in tape.gradient(loss, model.head.heads.trainable_variables))


def test_a_model_learns_from_what_its_users_refused():
    """Clicks stand for refusals of the feed: they are many."""
    config = tiny_world.config(home_feed={"refusals": ["click"], "negatives": {"type": "sampled", "uniform": 4}})
    world, fit_end = tiny_world.prepared(), tiny_world.trained().fit_end
    model, _, _ = build_model(world, config, fit_end)
    batches = make_batches(world, world.between(None, fit_end), model)
    make_weights(model, batches)
    inputs = {name: tf.constant(column) for name, column in next(batches.epoch(0)).by_name().items()}
    with tf.GradientTape() as tape:
        loss = model.compute_loss(inputs, training=False)
    assert np.isfinite(loss)
    assert np.any(tape.gradient(loss, model.head.heads.trainable_variables)[0])
    user, feed = tf.range(4, dtype=tf.int64), list(config.tasks).index("home_feed") + 1
    refused = [model.signals.refused(user, user * 0 + fit_end, user * 0 + task).numpy() for task in (feed, feed - 1)]
    assert (refused[0] >= 0).any()
    assert (refused[1] == -1).all()


def test_steps_on_a_batch_with_sampled_negatives_lower_its_loss():
    """Its items are those that it needs: the graph is traced for any number of them."""
    sampled = {"negatives": {"type": "sampled", "uniform": 4}}
    config = tiny_world.config(search=sampled, more_like_this=sampled, home_feed=sampled)
    world, fit_end = tiny_world.prepared(), tiny_world.trained().fit_end
    model, _, _ = build_model(world, config, fit_end)
    batches = make_batches(world, world.between(None, fit_end), model)
    make_weights(model, batches)
    optimizer = tf.keras.optimizers.legacy.Adam(0.03)

    @functools.partial(tf.function, autograph=False)
    def step(inputs):
        with tf.GradientTape() as tape:
            loss = model.compute_loss(inputs, training=False)
        variables = model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    inputs = {name: tf.constant(column) for name, column in next(batches.epoch(0)).by_name().items()}
    losses = [float(step(inputs)) for _ in range(8)]
    assert not model.whole_catalogue
    assert np.mean(losses[-2:]) < 0.8 * np.mean(losses[:2])


def test_the_head_does_without_crosses_where_the_task_says_so():
    config = tiny_world.config(search={"ranking_crosses": False})
    model, _, _ = build_model(tiny_world.prepared(), config, tiny_world.trained().fit_end)
    rng = np.random.default_rng(6)
    asked, candidates = state(model), [rng.normal(size=(3, 6, n)) for n in (8, 4, len(model.signals.learnt))]
    candidates = [tf.constant(array, tf.float32) for array in candidates]
    model.rank(asked, *candidates)
    for weight in model.head.heads.trainable_weights:  # zero before training: the crosses would tell nobody anything
        weight.assign(rng.normal(size=weight.shape))
    before = model.rank(asked, *candidates)[1].numpy()
    for weight in (weight for cross in model.head.crosses for weight in cross.trainable_weights):
        weight.assign_add(rng.normal(size=weight.shape))
    changed = np.abs(model.rank(asked, *candidates)[1].numpy() - before).max(axis=(1, 2)) > 1e-4
    assert dict(zip(config.tasks, changed.tolist(), strict=True)) == {name: name != "search" for name in config.tasks}


def test_vectors_of_some_items_are_those_of_the_catalogue(model):
    some = model.item_vectors(tf.constant([4, 0, 19], tf.int64)).numpy()
    np.testing.assert_allclose(some, model.item_vectors().numpy()[[4, 0, 19]], atol=1e-6)


def test_the_twins_are_equal(model):
    vectors, index = model.item_vectors().numpy(), tiny_world.prepared().item_ids.tolist()
    np.testing.assert_array_equal(*(vectors[index.index(twin)] for twin in tiny_world.TWINS))


def state(model, rows=3):
    rng = np.random.default_rng(1)

    def unit(*shape):
        return tf.math.l2_normalize(tf.constant(rng.normal(size=shape), tf.float32), -1)

    return encoded_state(
        rows,
        embedding=unit(rows, 8),
        source=unit(rows, 8),
        context=unit(rows, 16),
        task=tf.constant([1, 2, 3], tf.int64),
        history=unit(rows, 4, 8),
        history_mask=tf.ones([rows, 4], tf.bool),
    )


def test_retrieval_is_one_dot_product_and_the_score_the_expected_value(model):
    asked = state(model)
    rng = np.random.default_rng(2)
    items, quality = rng.normal(size=(3, 6, 8)).astype(np.float32), rng.random((3, 6, 4)).astype(np.float32)
    signals = rng.random((3, 6, len(model.signals.learnt))).astype(np.float32)
    score, logits, retrieval = (x.numpy() for x in model.rank(asked, *map(tf.constant, (items, quality, signals))))
    # As tiny_world declares them: popularity, trend, rating, freshness.
    weights = np.array([[0, 0, 0, 0], [0, 0, 0, 0.05], [0.1, 0, 0, 0.05]])
    query = np.concatenate([asked.embedding.numpy(), weights], 1)
    item = np.concatenate([items, quality], 2)
    np.testing.assert_allclose(retrieval, np.einsum("bd,bnd->bn", query, item), atol=1e-5)
    # Heads: click, buy, like.
    share = np.array([[1, 0, 0], [1, 2, 0], [0, 0, 1]])
    scale, shift = np.moveaxis(model.calibration.numpy()[1:], -1, 0)
    chances = 1 / (1 + np.exp(-(np.exp(scale)[:, None] * logits.astype(np.float64) + shift[:, None])))
    np.testing.assert_allclose(score, np.log((chances * share[:, None]).sum(-1)), rtol=1e-4, atol=1e-4)


def test_an_offset_of_a_heads_logits_moves_no_score():
    """A softmax over candidates leaves the offset open; calibration closes it, and only then heads are added."""
    groups = HeadGroups(tiny_world.config())
    rng = np.random.default_rng(5)
    logits = rng.normal(size=(1, 200, 3)).astype(np.float32)
    offset = np.float32([0, 9, -4])
    values = tf.constant([[1.0, 3.0, 0.0]])
    happened = rng.random((200, 3)) < 1 / (1 + np.exp(2 - logits[0]))
    scores = []
    for shifted in (logits, logits + offset):
        numbers = [fit_platt(shifted[0, :, head], happened[:, head]) for head in range(3)]
        scores.append(groups.score(tf.constant(shifted), tf.constant([numbers], tf.float32), values).numpy())
    np.testing.assert_allclose(*scores, atol=1e-3)


def test_probabilities_are_calibrated_per_task_and_head(model):
    rng = np.random.default_rng(3)
    logits = rng.normal(size=(3, 6, 3)).astype(np.float32)
    scale, shift = np.moveaxis(model.calibration.numpy()[[1, 2, 0]], -1, 0)
    found = model.head_outputs(tf.constant(logits), tf.constant([1, 2, 0], tf.int64)).numpy()
    expected = 1 / (1 + np.exp(-(np.exp(scale)[:, None] * logits + shift[:, None])))
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert np.abs(model.calibration.numpy()[1:]).max() > 0.01


def test_weights_of_scores_and_quality_are_as_declared():
    config = tiny_world.config()
    assert config.heads == ("click", "buy", "like")
    np.testing.assert_array_equal(score_weights(config), [[1, 1, 1], [1, 0, 0], [1, 2, 0], [0, 0, 1]])
    weights = quality_weights(config)
    np.testing.assert_allclose(weights[[0, 1]], np.zeros((2, 4)))
    np.testing.assert_allclose(weights[3], [0.1, 0, 0, 0.05])
    bare = tiny_world.config(
        item={"quality": {}}, more_like_this={"quality_weights": {}}, home_feed={"quality_weights": {}}
    )
    assert quality_weights(bare).shape == (4, 0)
