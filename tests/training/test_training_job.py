"""The training job: it goes on where it stopped, says what is wrong, and does the same thing twice."""

import dataclasses
import gc
import json
import logging

import numpy as np
import pytest
import tiny_world

from unified_ranker.core.errors import UserError
from unified_ranker.core.progress import listening
from unified_ranker.towers.tensorflow import tf
from unified_ranker.training.callbacks import EpochCheckpoints, StopOnNaN
from unified_ranker.training.optimizer import TrainingLength, optimizer_of
from unified_ranker.training.trained_files import load_trained, save_trained
from unified_ranker.training.training_job import build_model, dataset_of, fit_end_of, make_batches, train

pytestmark = [
    pytest.mark.xdist_group("tiny_model"),
    pytest.mark.usefixtures("eagerly"),
]
SHORT = {"epochs": 2, "batch_examples": 1000}
TWO_STEPS = {**SHORT, "batch_examples": 400}


class Watch(tf.keras.callbacks.Callback):
    """Notes epochs and weights, and is interrupted where it is told to be."""

    def __init__(self, stop_in_epoch=None):
        super().__init__()
        self.stop_in_epoch, self.epochs, self.first, self.last = stop_in_epoch, [], None, None

    def on_train_begin(self, logs=None):
        self.first = self.state()

    def on_epoch_begin(self, epoch, logs=None):
        self.epochs.append(epoch)

    def on_train_batch_end(self, batch, logs=None):
        if self.epochs[-1] == self.stop_in_epoch:
            raise KeyboardInterrupt

    def on_epoch_end(self, epoch, logs=None):
        self.last = self.state()

    def state(self):
        optimizer = [v.numpy() for v in self.model.optimizer.variables]
        return [v.numpy() for v in self.model.trainable_variables] + optimizer


def run(checkpoints, watch=None, config=None, prepared=None, tasks=()):
    callbacks = () if watch is None else (watch,)
    config = config or tiny_world.config(SHORT)
    return train(prepared or tiny_world.prepared(), config, checkpoints, tasks, callbacks)


def assert_equal(one, other):
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    """A job that was interrupted in its second epoch, and its watch."""
    checkpoints = tmp_path_factory.mktemp("interrupted") / "checkpoints"
    watch = Watch(stop_in_epoch=1)
    with pytest.raises(KeyboardInterrupt):
        run(checkpoints, watch)
    return checkpoints, watch


@pytest.fixture(scope="module")
def resumed(interrupted):
    watch, watch.heard = Watch(), []
    with listening(lambda p: watch.heard.append((p.work, p.done, p.total, p.ended))):
        return run(interrupted[0], watch), watch


def test_a_job_goes_on_from_the_last_whole_epoch(interrupted, resumed):
    before, (trained, after) = interrupted[1], resumed
    assert before.epochs == [0, 1]
    assert after.epochs == [1]
    assert_equal(after.first, before.last)
    assert len(before.first) == len(before.last)
    assert {len(values) for values in trained.curves.values()} == {2}


def test_progress_of_a_resumed_job_begins_where_it_was_interrupted(resumed):
    heard = resumed[1].heard
    steps = heard[-1][2] // 2
    assert heard[0] == ("train, epoch 2 of 2", steps, 2 * steps, False)
    assert heard[-1] == ("train, epoch 2 of 2", 2 * steps, 2 * steps, True)


def test_a_job_that_is_done_is_not_done_again(interrupted, resumed, tmp_path):
    """As when it was stopped after its last checkpoint: the model is whole all the same."""
    watch = Watch()
    trained = run(interrupted[0], watch)
    assert watch.epochs == []
    assert trained.curves == resumed[0].curves
    assert_equal(trained.model.get_weights(), resumed[0].model.get_weights())
    save_trained(trained, tmp_path)
    load_trained(tmp_path, tiny_world.prepared(), tiny_world.config(SHORT))


def test_curves_that_are_ahead_of_the_checkpoint_are_cut(interrupted, resumed, tmp_path):
    """As when it was stopped between the two."""
    model = resumed[0].model
    (tmp_path / "curves.json").write_text(json.dumps({"loss": [3.0, 2.0]}))
    EpochCheckpoints(model, tmp_path).manager.save(checkpoint_number=1)
    saver = EpochCheckpoints(model, tmp_path)
    assert saver.restore() == 1
    assert saver.curves == {"loss": [3.0]}


def test_the_same_seed_gives_the_same_model(interrupted, tmp_path):
    again = Watch(stop_in_epoch=1)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, again)
    assert_equal(again.last, interrupted[1].last)
    config = tiny_world.config(SHORT)
    other = config.model_copy(update={"project": config.project.model_copy(update={"seed": 12})})
    fit_end = fit_end_of(tiny_world.prepared(), config)
    tables = [build_model(tiny_world.prepared(), c, fit_end)[0].item_tower.ids.numpy() for c in (config, config, other)]
    np.testing.assert_array_equal(tables[0], tables[1])
    assert np.abs(tables[0] - tables[2]).max() > 0.1


def test_a_trained_model_comes_back_from_disk(resumed, tmp_path):
    trained = resumed[0]
    save_trained(trained, tmp_path)
    said = []
    handler = logging.Handler()
    handler.emit = said.append
    tf.get_logger().addHandler(handler)
    back = load_trained(tmp_path, tiny_world.prepared(), tiny_world.config(SHORT))
    np.testing.assert_array_equal(back.model.item_vectors(), trained.model.item_vectors())
    assert_equal(back.model.get_weights(), trained.model.get_weights())
    assert (back.curves, back.fit_end, back.vocabulary) == (trained.curves, trained.fit_end, trained.vocabulary)
    # TensorFlow complains of what was not restored when the model lets go of the checkpoint.
    del back
    gc.collect()
    tf.get_logger().removeHandler(handler)
    assert [record.getMessage() for record in said] == []


def test_one_task_alone(tmp_path):
    trained = run(tmp_path, tasks=("search",), config=tiny_world.config({**SHORT, "epochs": 4}))
    curves = trained.curves
    assert curves["retrieval/search"][-1] < curves["retrieval/search"][0]
    assert curves["ranking/search"][-1] < curves["ranking/search"][0]
    assert set(curves["retrieval/home_feed"]) == {0.0}


@pytest.mark.parametrize("tasks", [(), ("search",), ("search", "home_feed")])
def test_positives_are_counted_for_the_tasks_that_train(tasks):
    """Sampled negatives are corrected by how often a batch holds an item: others' positives are in none."""
    prepared, config, fit_end = tiny_world.prepared(), tiny_world.config(), fit_end_of_world()
    model, _, _ = build_model(prepared, config, fit_end, tasks=tasks)
    expected = np.zeros((len(config.tasks), len(prepared.items)), int)
    fit = prepared.between(None, fit_end)
    for task, item in zip(fit.task, fit.item, strict=True):
        if not tasks or task in tasks:
            expected[list(config.tasks).index(task), item] += 1
    np.testing.assert_array_equal(model.catalogue.chosen, expected)
    np.testing.assert_allclose(model.share, expected.sum(0) / expected.sum(), rtol=1e-6)


def test_sampled_negatives_train(tmp_path):
    sampled = {"negatives": {"type": "sampled", "uniform": 8}}
    hard = {"negatives": {"type": "sampled", "uniform": 8, "hard": 3}}
    config = tiny_world.config({**SHORT, "epochs": 4}, search=sampled, home_feed=sampled, more_like_this=hard)
    curves = run(tmp_path, config=config).curves
    for name, values in curves.items():
        if "/" in name or name == "loss":
            assert values[-1] < values[0], name


# --- what is wrong ------------------------------------------------------------------------------------------------


def test_nan_in_the_features_stops_the_job(tmp_path):
    prepared = tiny_world.prepared()
    values = prepared.histories.value.copy()
    values[prepared.histories.offsets[4]] = np.nan
    broken = dataclasses.replace(prepared, histories=dataclasses.replace(prepared.histories, value=values))
    with pytest.raises(UserError) as caught:
        run(tmp_path, prepared=broken, config=tiny_world.config(TWO_STEPS))
    message = str(caught.value)
    step = _first_step_with_nan(broken)
    assert f"epoch 1, step {step}:" in message
    assert "not finite: `value`" in message
    assert any(task in message.split("tasks: ")[1].split(";")[0] for task in tiny_world.TASKS)
    assert not list(tmp_path.glob("*.index"))


def _first_step_with_nan(prepared):
    config = tiny_world.config(TWO_STEPS)
    model, _, _ = build_model(prepared, config, fit_end_of(prepared, config))
    batches = make_batches(prepared, prepared.between(None, fit_end_of(prepared, config)), model)
    return next(n for n, b in enumerate(batches.epoch(0), start=1) if np.isnan(b.windows.events.value).any())


def test_only_the_tasks_whose_loss_is_broken_are_named(resumed):
    model = resumed[0].model
    model.reset_metrics()
    model._record("retrieval", tf.constant([1.0, np.nan, 3.0, 5.0]), tf.constant([1, 2, 3, 3], tf.int64))
    losses = {name: float(metric.result()) for name, metric in model.losses_by_task.items()}
    assert [losses[f"retrieval/{task}"] for task in ("search", "home_feed")] == [1.0, 4.0]
    stop = StopOnNaN(_batches(model))
    with pytest.raises(UserError, match=r"step 1: retrieval/more_like_this; tasks: more_like_this; all features"):
        stop.on_train_batch_end(0, losses)
    model.reset_metrics()


def _batches(model):
    return make_batches(tiny_world.prepared(), tiny_world.prepared().between(None, fit_end_of_world()), model)


def fit_end_of_world():
    return fit_end_of(tiny_world.prepared(), tiny_world.config())


def test_no_positive_in_the_fit_window(tmp_path):
    prepared = tiny_world.prepared()
    late = prepared.examples.take(
        (prepared.examples.task != "search") | (prepared.examples.timestamp > fit_end_of_world())
    )
    with pytest.raises(UserError, match=r"no positive of search\. Raise `split\.train`"):
        run(tmp_path, prepared=dataclasses.replace(prepared, examples=late), tasks=("search",))


# --- its parts ----------------------------------------------------------------------------------------------------


def test_batches_stream_epoch_by_epoch(resumed):
    batches = _batches(resumed[0].model)
    batches.batch_examples = 200
    assert batches.steps > 1
    streamed = list(dataset_of(batches, 1, 3).as_numpy_iterator())
    made = [batch.by_name() for epoch in (1, 2) for batch in batches.epoch(epoch)]
    assert len(streamed) == len(made) == 2 * batches.steps
    for one, other in zip(streamed, made, strict=True):
        assert one.keys() == other.keys()
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])


def test_the_learning_rate_rises_and_falls():
    config = tiny_world.config({"learning_rate": 0.1, "warmup_share": 0.25})
    rate = optimizer_of(config, TrainingLength(25, 4))._learning_rate
    schedule = np.array([float(rate(step)) for step in range(101)])
    assert schedule[0] == 0
    assert schedule.argmax() == 25
    np.testing.assert_allclose([schedule[25], schedule[100]], [0.1, 0.005], rtol=1e-4)
    assert (np.diff(schedule[:26]) > 0).all()
    assert (np.diff(schedule[25:]) < 0).all()


def test_the_rate_falls_by_the_length_that_is_left():
    length = TrainingLength(10, 10)
    rate = optimizer_of(tiny_world.config({"learning_rate": 0.1, "warmup_share": 0.25}), length)._learning_rate
    graph = tf.function(rate)
    assert float(graph(tf.constant(20))) < 0.1
    length.cut(4)
    assert length.epochs == 4
    np.testing.assert_allclose(
        [float(graph(tf.constant(step))) for step in (10, 40, 90)], [0.1, 0.005, 0.005], rtol=1e-4
    )


def test_the_fit_window_ends_where_the_split_says():
    prepared, config = tiny_world.prepared(), tiny_world.config()
    split = config.project.split.model_copy(update={"fit_on": "train"})
    train_only = config.model_copy(update={"project": config.project.model_copy(update={"split": split})})
    assert fit_end_of(prepared, config) == prepared.split.validation_end
    assert fit_end_of(prepared, train_only) == prepared.split.train_end
