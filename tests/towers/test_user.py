"""The user tower: what a state knows, and what it cannot."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unified_ranker.config import Transformer, UserTower
from unified_ranker.prepare.vocabulary import Scale, StrengthScale, Vocabulary
from unified_ranker.towers.category_table import CategoryTable
from unified_ranker.towers.causal_block import CausalBlock, distance_bucket
from unified_ranker.towers.event_seconds import EventSeconds
from unified_ranker.towers.history import HistoryEvents
from unified_ranker.towers.tensorflow import tf
from unified_ranker.towers.user import EventValues, UserEncoder, user_fields

DIM, EVENTS, USERS = 8, 12, 3
VOCABULARY = Vocabulary(
    tasks=["search", "feed"],
    event_types=["click", "like"],
    categories=["country=GB", "country=US"],
    item_numbers={},
    user_numbers={"age": Scale(30.0, 10.0)},
    id_mask_rate=0.1,
    event_values={name: StrengthScale(4.0, Scale(0.7, 0.2)) for name in ("click", "like")},
)
PROFILE = ({"type": "category", "column": "country"}, {"type": "number", "column": "age"})


@pytest.fixture(scope="module", params=["transformer", "hstu"])
def tower(request):
    tf.keras.utils.set_random_seed(2)
    config = UserTower(encoder={"type": request.param, "layers": 2, "heads": 2, "dropout": 0.5}, profile=PROFILE)
    tower = UserEncoder(config, VOCABULARY, DIM, CategoryTable(VOCABULARY.categories, DIM))
    states(tower, history(), profile(tower))
    randomise(tower)
    return tower


def randomise(layer):
    """Leave no weight at zero, where it would hide what it multiplies."""
    rng = np.random.default_rng(3)
    for variable in layer.trainable_variables:
        variable.assign_add(rng.normal(0, 0.3, variable.shape))


def history(seed=0, width=EVENTS):
    rng = np.random.default_rng(seed)
    return {
        "item": rng.normal(size=(USERS, width, DIM)).astype(np.float32),
        "event_type": rng.integers(1, 3, (USERS, width)),
        "task": rng.integers(0, 3, (USERS, width)),
        "gap": rng.integers(0, 10**6, (USERS, width)),
        "value": rng.choice([0, 3, 5], (USERS, width)).astype(np.float32),
    }


def profile(tower, countries=("GB", "US", ""), ages=(25.0, np.nan, 60.0)):
    raw = {"country": tf.constant(countries), "age": tf.constant(ages, tf.float32)}
    return tower.encode_profile(raw)


def states(tower, events, profiles, training=False):
    rest = {k: tf.constant(v) for k, v in events.items() if k != "item"}
    own = HistoryEvents(item=tf.zeros_like(rest["task"]), **rest)
    return tower(tf.constant(events["item"]), own, profiles, training=training).numpy()


@pytest.mark.parametrize("position", [0, 5, EVENTS - 1])
@pytest.mark.parametrize("part", ["item", "event_type", "task", "gap", "value"])
def test_an_event_changes_no_state_before_it(tower, position, part):
    before = states(tower, history(), profile(tower))
    events, other = history(), history(seed=9)
    events[part][:, position] = other[part][:, position] + 1 if part == "value" else other[part][:, position]
    if part in ("event_type", "task"):
        events[part][:, position] = (history()[part][:, position] + 1) % 3
    after = states(tower, events, profile(tower))
    np.testing.assert_array_equal(after[:, : position + 1], before[:, : position + 1])
    # A gap within the same power of two is the same to the model; the others all tell.
    changed = np.abs(after[:, position + 1 :] - before[:, position + 1 :]).max(axis=(1, 2)) > 1e-6
    assert changed.any() if part == "gap" else changed.all()


def test_there_is_a_state_before_and_after_each_event(tower):
    assert states(tower, history(), profile(tower)).shape == (USERS, EVENTS + 1, DIM)


def test_the_first_state_knows_the_profile_only(tower):
    here, elsewhere = states(tower, history(0), profile(tower)), states(tower, history(1), profile(tower))
    np.testing.assert_array_equal(here[:, 0], elsewhere[:, 0])
    moved = states(tower, history(0), profile(tower, countries=("US", "GB", "GB")))
    assert (np.abs(here[:, 0] - moved[:, 0]).max(1) > 1e-3).all()
    alone = states(tower, history(width=0), profile(tower))
    np.testing.assert_allclose(alone[:, 0], here[:, 0], atol=1e-5)


def test_every_state_knows_the_profile(tower):
    young, old = (states(tower, history(), profile(tower, ages=(age,) * 3)) for age in (20.0, 60.0))
    assert (np.abs(young - old).max(2) > 1e-4).all()


@pytest.mark.parametrize("padding", [1, 4, 30])
def test_padding_behind_does_not_matter(tower, padding):
    events, filler = history(), history(seed=7, width=padding)
    longer = {name: np.concatenate([events[name], filler[name]], 1) for name in events}
    short, long = states(tower, events, profile(tower)), states(tower, longer, profile(tower))
    np.testing.assert_allclose(long[:, : EVENTS + 1], short, atol=1e-5)


def test_an_absent_age_differs_from_the_mean_age(tower):
    absent, mean = (states(tower, history(), profile(tower, ages=(age,) * 3)) for age in (np.nan, 30.0))
    assert np.isfinite(absent).all()
    assert np.abs(absent - mean).max() > 1e-3


def test_dropout_only_in_training(tower):
    still = [states(tower, history(), profile(tower)) for _ in range(2)]
    np.testing.assert_array_equal(*still)
    assert np.abs(states(tower, history(), profile(tower), training=True) - still[0]).max() > 1e-3


@pytest.mark.parametrize("unit", [1e-3, 1e6])
def test_the_unit_of_values_does_not_matter(unit):
    """Minutes of play and milliseconds are one input, once the vocabulary has measured them."""
    played = np.random.default_rng(0).lognormal(3, 2, (1, 200)).astype(np.float32)
    layers = [EventValues(valued(played * by), DIM) for by in (1, unit)]
    plays = np.ones((1, 200), np.int64)
    one, _ = (layer(plays, played * by) for layer, by in zip(layers, (1, unit), strict=True))
    layers[1].dense.set_weights(layers[0].dense.get_weights())
    other = layers[1](plays, played * unit)
    np.testing.assert_allclose(other, one, atol=1e-4)
    assert np.std(one, axis=1).max() > 0.1
    assert np.abs(one).max() < 30, "the longest play drowns nothing"


def test_a_value_that_nothing_was_learnt_of_is_absent():
    layer = EventValues(valued(np.float32([1.0, 5.0])), DIM)
    known, click, unknown, absent = (layer(np.int64([t]), np.float32([v])) for t, v in ((1, 5), (2, 5), (0, 5), (1, 0)))
    np.testing.assert_array_equal(click, absent)
    np.testing.assert_array_equal(unknown, absent)
    assert np.abs(known - absent).max() > 1e-2


def valued(values):
    """Return a vocabulary of plays, which have these values, and clicks, which have none."""
    scales = {"play": StrengthScale.of(values.ravel().astype(np.float64))}
    return Vocabulary(["feed"], ["play", "click"], [], {}, {}, 0.0, scales)


def test_a_tower_without_a_profile():
    tower = UserEncoder(UserTower(), VOCABULARY, DIM, CategoryTable([], DIM))
    out = states(tower, history(), {})
    np.testing.assert_array_equal(out[0, 0], out[1, 0])
    assert np.abs(out[0, 1:] - out[1, 1:]).max(axis=1).min() > 1e-3, "of their histories the states know"


def test_states_of_the_last_layer_alone():
    """They are those of pooled layers whose weights have all gone to the last one."""
    both = []
    for pooling in ("learnt", "last"):
        tf.keras.utils.set_random_seed(2)
        encoder = Transformer(layers=3, heads=2, pooling=pooling)
        tower = UserEncoder(UserTower(encoder=encoder), VOCABULARY, DIM, CategoryTable([], DIM))
        states(tower, history(), {})
        both.append(tower)
    learnt, last = both
    assert not hasattr(last, "pool")
    rest = [v for v in learnt.trainable_variables if v is not learnt.pool]
    for variable, source in zip(last.trainable_variables, rest, strict=True):
        variable.assign(source)
    assert np.abs(states(learnt, history(), {}) - states(last, history(), {})).max() > 1e-3
    learnt.pool.assign([-1e9, -1e9, 0.0])
    np.testing.assert_allclose(states(learnt, history(), {}), states(last, history(), {}), atol=1e-5)


def test_an_encoder_without_a_type_is_a_transformer():
    assert UserTower(encoder={"layers": 1}).encoder == Transformer(layers=1)


# --- events of one second ------------------------------------------------------------------------------------------

SECONDS = [0, 1, 1, 1, 2, 3, 3, 4, 5, 5, 5, 5]
"""The second of each event."""


def tied(seed=0):
    """A history in which some events are of one second."""
    events = history(seed)
    moment = np.array(SECONDS)
    events["gap"] = np.where(np.diff(moment, prepend=-1) > 0, events["gap"] + 1, 0)
    return events


def shuffled(events, random):
    """The history with the events of each second in another order."""
    order = sorted(range(EVENTS), key=lambda place: (SECONDS[place], random.random()))
    return {name: column if name == "gap" else column[:, order] for name, column in events.items()}


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.randoms(use_true_random=False))
def test_the_order_of_events_of_one_second_changes_no_state(tower, random):
    before, after = (states(tower, events, profile(tower)) for events in (tied(), shuffled(tied(), random)))
    np.testing.assert_allclose(after, before, atol=1e-5)


def test_a_state_after_a_second_knows_all_of_its_events(tower):
    before = states(tower, tied(), profile(tower))
    for place in (1, 2, 3):
        events = tied()
        events["item"][:, place] += 1
        moved = np.abs(states(tower, events, profile(tower)) - before).max((0, 2)) > 1e-4
        assert moved.tolist() == [False] * 2 + [True] * (EVENTS - 1)


def test_events_of_one_second_are_equally_far_from_the_others():
    seconds = EventSeconds.of(tf.constant([[9, 0, 7, -1]]))
    assert seconds.first.numpy().tolist() == [[0, 1, 1, 3, 4]]
    assert seconds.distance.numpy()[0, 3].tolist() == [3, 1, 1, 0, -1]
    assert seconds.distance.numpy()[0, 1].tolist() == seconds.distance.numpy()[0, 2].tolist() == [1, 0, 0, -2, -3]
    assert seconds.of_first(tf.constant([[9, 0, 7, -1]])).numpy().tolist() == [[9, 9, 7, -1]]


# --- distances ----------------------------------------------------------------------------------------------------


def test_distance_buckets_never_fall_with_distance():
    buckets = distance_bucket(tf.range(-5, 1000)).numpy()
    assert (np.diff(buckets) >= 0).all()
    assert buckets[:6].tolist() == [0] * 6
    np.testing.assert_array_equal(buckets[5:21], np.arange(16))
    assert buckets[5 + 16] == 16
    assert [buckets[5 + d] for d in (31, 32, 63, 64, 127, 128)] == [19, 20, 23, 24, 27, 28]
    assert buckets[-1] == 31


@pytest.mark.parametrize("length", [33, 100, 129])
def test_distance_buckets_do_not_depend_on_where_the_window_begins(length):
    whole = tf.range(400)[:, None] - tf.range(400)[None]
    part = tf.range(length)[:, None] - tf.range(length)[None]
    np.testing.assert_array_equal(distance_bucket(whole)[-length:, -length:], distance_bucket(part))


def test_a_block_is_what_numpy_says():
    tf.keras.utils.set_random_seed(4)
    block = CausalBlock(DIM, heads=2, dropout=0.3)
    x = np.random.default_rng(5).normal(size=(2, 20, DIM)).astype(np.float32)
    apart = tf.tile(tf.range(20)[None, :, None] - tf.range(20)[None, None], [2, 1, 1])
    block(tf.constant(x), apart)
    randomise(block)
    normed = _normalise(x, block.norms[0])
    q, k, v = np.split(normed @ block.qkv.kernel.numpy(), 3, axis=-1)
    distance = np.arange(20)[:, None] - np.arange(20)[None]
    bias = block.bias.numpy()[distance_bucket(tf.constant(distance, tf.int32)).numpy()]
    mixed = np.empty_like(x)
    for head, columns in enumerate((slice(0, 4), slice(4, 8))):
        scores = np.einsum("bid,bjd->bij", q[..., columns], k[..., columns]) / 2 + bias[..., head]
        weights = np.exp(np.where(distance < 0, -np.inf, scores))
        mixed[..., columns] = np.einsum("bij,bjd->bid", weights / weights.sum(-1, keepdims=True), v[..., columns])
    y = x + mixed @ block.out.kernel.numpy() + block.out.bias.numpy()
    grown = _normalise(y, block.norms[1]) @ block.grow.kernel.numpy() + block.grow.bias.numpy()
    expected = y + tf.nn.gelu(grown).numpy() @ block.shrink.kernel.numpy() + block.shrink.bias.numpy()
    np.testing.assert_allclose(block(tf.constant(x), apart), expected, atol=1e-4)


def _normalise(x, norm):
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + norm.epsilon) * norm.gamma.numpy() + norm.beta.numpy()


def test_user_fields_end_with_the_unknown_user():
    users = pd.DataFrame({"country": ["GB", None], "age": pd.array([30, None], "Int64")})
    fields = user_fields(users, UserTower(profile=PROFILE))
    assert fields["country"].tolist() == ["GB", "", ""]
    np.testing.assert_array_equal(fields["age"], np.array([30, np.nan, np.nan], np.float32))
