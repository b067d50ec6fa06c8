"""Behaviours of every signal: what it says in training and when served, of whom, and as of when."""

import dataclasses
import functools

import numpy as np
import pandas as pd
import pytest
import tiny_world
from signal_toy import signal_request

from unified_ranker.log.schema import normalise
from unified_ranker.model_server.stock_ops import foreign_ops, ops_of
from unified_ranker.prepare.prepared import prepare
from unified_ranker.signals.base import SIGNALS, SignalInputs, SignalRequest
from unified_ranker.towers.tensorflow import tf

EXTENSION = "same_category"
RECENT = 12
MISSING = np.int64(-1)
OF_ITEMS_ALONE = {"newest", "popular"}


@pytest.fixture(params=[*SIGNALS, EXTENSION])
def kind(request):
    return SIGNALS[request.param](type=request.param)


def world(events):
    """The tiny world with other events."""
    return prepare(normalise(**(tiny_world.tables() | {"events": events})), tiny_world.config())


@functools.cache
def world_of_others_later():
    """The tiny world with other items in its events from `moment` on."""
    events = tiny_world.events_table()
    later = events["timestamp"] >= pd.Timestamp(moment(), unit="s", tz="UTC")
    other = events.copy()
    for column in ("item_id", "source_item_id"):
        known = later & events[column].notna()
        other.loc[known, column] = np.random.default_rng(3).permutation(events.loc[known, column].to_numpy())
    assert (other["item_id"] != events["item_id"]).sum() > 100
    return world(other)


@functools.cache
def world_until_end():
    """The tiny world without the events that come after the fit window."""
    events = tiny_world.events_table()
    return world(events[events["timestamp"] < pd.Timestamp(end(), unit="s", tz="UTC")])


def end():
    """Two thirds of the log, in seconds: some of it comes later."""
    times = tiny_world.prepared().events.timestamp
    return int(np.quantile(times, 2 / 3))


def moment():
    """Twenty days before that."""
    return end() - 20 * 86_400


def built(kind, prepared=None):
    return kind.build(SignalInputs(prepared or tiny_world.prepared(), end(), tuple(tiny_world.config().tasks)))


def learnt(kind):
    """The signal where the head learns from it, so that it must know what was to be seen at any moment."""
    signal = built(kind)
    if not signal.learnt:
        pytest.skip("the blend alone reads it, as of the end of the fit window")
    return signal


def queries(rows=5):
    return tf.constant([f"{word} lamp" for word in tiny_world.WORDS[:rows]])


def requests(signal, rows=5):
    """Requests that have everything: a query that titles answer, a source item, and a user's past."""
    rng = np.random.default_rng(7)
    texts = queries(rows)
    words = signal.read_text(texts) if signal.text_width else tf.fill([rows, 0], MISSING)
    return signal_request(
        rows,
        words=words,
        source_item=rng.integers(0, 9, rows),
        recent=rng.integers(0, 18, (rows, RECENT)),
        recent_time=end() - np.sort(rng.integers(1, 90 * 86_400, (rows, RECENT))),
        task=rng.integers(1, 3, rows),
        timestamp=np.full(rows, end()),
    )


def nowhere(signal, rows=2):
    """Requests of which nothing is known."""
    words = signal.read_text(tf.constant([""] * rows)) if signal.text_width else tf.fill([rows, 0], MISSING)
    return signal_request(rows, words=words, recent=np.full((rows, RECENT), MISSING))


def candidates(rows=5):
    """Every item, and behind them one that the catalogue lacks."""
    return tf.constant(np.append(np.tile(np.arange(tiny_world.ITEMS), (rows, 1)), np.full((rows, 1), MISSING), 1))


def at(time, rows=5):
    return tf.fill([rows], np.int64(time))


def test_it_gives_its_channels_for_every_pair_and_tells_some_apart(kind):
    signal = built(kind)
    found = signal.features(requests(signal), candidates(), None).numpy()
    assert found.shape == (5, tiny_world.ITEMS + 1, len(signal.channels))
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    assert np.ptp(found[:, :-1], axis=1).max() > 0


def test_an_unknown_item_has_no_signal(kind):
    signal = built(kind)
    for time in (None, at(end()))[: 1 + signal.learnt]:
        assert (signal.features(requests(signal), candidates(), time).numpy()[:, -1] == 0).all()


def test_a_request_of_which_nothing_is_known_has_no_signal_and_no_proposal(kind):
    if kind.type in OF_ITEMS_ALONE:
        pytest.skip("it says of an item what it says to every request")
    signal = built(kind)
    asked = nowhere(signal)
    for time in (None, at(end(), 2))[: 1 + signal.learnt]:
        assert not signal.features(asked, candidates(2), time).numpy().any()
    assert (signal.proposals(asked).numpy() == MISSING).all()


def test_what_is_served_is_what_training_sees_at_the_end_of_the_fit_window(kind):
    signal = learnt(kind)
    asked = requests(signal)
    served, trained = (signal.features(asked, candidates(), time).numpy() for time in (None, at(end())))
    np.testing.assert_allclose(served, trained, atol=1e-4)


def test_nothing_later_is_seen(kind):
    """Other items in events from a moment on change nothing that was to be seen before it."""
    signals = learnt(kind), built(kind, world_of_others_later())
    found = [signal.features(requests(signal), candidates(), at(moment())).numpy() for signal in signals]
    np.testing.assert_array_equal(found[0], found[1])


def test_what_lies_behind_the_fit_window_is_not_served(kind):
    found, proposed = [], []
    for log in (tiny_world.prepared(), world_until_end()):
        signal = built(kind, log)
        found.append(signal.features(requests(signal), candidates(), None).numpy())
        proposed.append(signal.proposals(requests(signal)).numpy())
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(proposed[0], proposed[1])


def test_it_proposes_a_fixed_number_of_items_of_the_catalogue(kind):
    signal = built(kind)
    proposed = signal.proposals(requests(signal))
    assert proposed.dtype == tf.int64
    assert proposed.shape[0] == 5
    assert proposed.shape[1] is not None
    found = proposed.numpy()
    assert ((found >= MISSING) & (found < tiny_world.ITEMS)).all()


def test_it_reads_no_more_of_the_past_than_it_says(kind):
    assert kind.events_read >= 1
    signal = built(kind)
    asked = requests(signal)
    kept = min(kind.events_read, RECENT)
    rest = tf.fill([5, RECENT - kept], MISSING)
    shorter = dataclasses.replace(asked, recent=tf.concat([asked.recent[:, :kept], rest], 1))
    np.testing.assert_array_equal(
        signal.features(shorter, candidates(), None), signal.features(asked, candidates(), None)
    )


def test_a_request_does_not_depend_on_its_neighbours(kind):
    signal = built(kind)
    asked = requests(signal)
    together, proposed = signal.features(asked, candidates(), None).numpy(), signal.proposals(asked).numpy()
    for row in range(5):
        alone = asked.at(tf.constant([row]))
        np.testing.assert_allclose(signal.features(alone, candidates(1), None).numpy()[0], together[row], atol=1e-6)
        np.testing.assert_array_equal(signal.proposals(alone).numpy()[0], proposed[row])


def test_a_log_with_nothing_to_be_made_from_is_no_error(kind):
    """Neither titles nor source items, and one event of one user."""
    events = tiny_world.events_table().query("task == 'search'").iloc[:1].assign(source_item_id=None, query=None)
    items = tiny_world.items_table().assign(title=None)
    config = tiny_world.config()
    log = normalise(events, items, tiny_world.users_table())
    signal = built(kind, prepare(log, config.model_copy(update={"tasks": {"search": config.tasks["search"]}})))
    asked = requests(signal)
    assert np.isfinite(signal.features(asked, candidates(), None).numpy()).all()
    assert signal.proposals(asked).shape[0] == 5
    need = kind.need(config, log)
    assert need is None or (need.rule and need.found)


def test_its_graph_is_saved_with_its_tables_in_stock_operations(kind, tmp_path):
    signal = built(kind)
    asked = requests(signal)

    def call(text, words, source_item, recent, recent_time, task, timestamp, items):
        words = signal.read_text(text) if signal.text_width else words
        request = SignalRequest(words, source_item, recent, recent_time, task, timestamp)
        return {"features": signal.features(request, items, None), "proposals": signal.proposals(request)}

    served = tf.Module()
    served.tables = list(signal.variables)
    indices = tf.TensorSpec([None, None], tf.int64)
    number = tf.TensorSpec([None], tf.int64)
    words = tf.TensorSpec([None, asked.words.shape[1]], tf.int64)
    spec = [tf.TensorSpec([None], tf.string), words, number, indices, indices, number, number, indices]
    graph = tf.function(call, input_signature=spec, autograph=False)
    tf.saved_model.save(served, str(tmp_path), signatures=graph)
    loaded = tf.saved_model.load(str(tmp_path)).signatures["serving_default"]
    found = loaded(**vars(asked), text=queries(), items=candidates())
    np.testing.assert_allclose(found["features"], signal.features(asked, candidates(), None), atol=1e-5)
    np.testing.assert_array_equal(found["proposals"], signal.proposals(asked))
    assert foreign_ops(ops_of(tmp_path)) == []
