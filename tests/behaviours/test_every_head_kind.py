"""Behaviours of every kind of head: what it learns from, what it puts out, how it is calibrated and reported."""

import dataclasses

import numpy as np
import pytest
import tiny_world

from unified_ranker.config import Config
from unified_ranker.core.arrays import MISSING
from unified_ranker.evaluation.calibrate import calibrate
from unified_ranker.evaluation.candidates import CandidateRules
from unified_ranker.evaluation.diagnosis import diagnose
from unified_ranker.evaluation.scoring import RequestEncoder
from unified_ranker.log.schema import normalise
from unified_ranker.prepare.prepared import prepare
from unified_ranker.tasks.head_groups import HeadGroups, RankedBatch, heads_of_task, kind_by_head
from unified_ranker.tasks.head_kinds.base import HEAD_KINDS, HeadExamples, HeadPairs
from unified_ranker.towers.tensorflow import tf
from unified_ranker.training.training_job import train

EXTENSION = "dwell_head"
KINDS = [*HEAD_KINDS, "dwell"]
ROWS, CANDIDATES, PAIRS = 6, 5, 400
RNG = np.random.default_rng(2)


@pytest.fixture(params=KINDS, scope="module")
def kind(request):
    return HEAD_KINDS[request.param](type=request.param)


def examples(logits, **changes):
    """Examples of which the first candidate was chosen; some have no value."""
    value = np.where(np.arange(ROWS) % 3 == 0, 0.0, 40.0).astype(np.float32)
    whole = {
        "logits": tf.convert_to_tensor(logits),
        "drawn": tf.constant(RNG.uniform(0.1, 1.0, (ROWS, CANDIDATES)), tf.float32),
        "allowed": tf.constant(np.arange(CANDIDATES)[None] < [[3]] * ROWS),
        "value": tf.constant(value),
        "has_value": tf.constant(value > 0),
        "scale": tf.zeros([ROWS, 1]),
        "shift": tf.zeros([ROWS, 1]),
    }
    return HeadExamples(**{**whole, **changes})


def logits_of(seed=0):
    return tf.Variable(np.random.default_rng(seed).normal(size=(ROWS, CANDIDATES)).astype(np.float32))


def pairs(outcome=None):
    """Pairs of which one in ten happened; what happened more, and longer, has higher logits."""
    rng = np.random.default_rng(5)
    logits = rng.normal(1.0, 1.0, PAIRS).astype(np.float32)
    event = rng.random(PAIRS) < 0.2 / (1 + np.exp(-logits)) if outcome is None else np.full(PAIRS, outcome)
    value = np.where(event, np.exp(np.maximum(logits, 0)) * 20, np.nan).astype(np.float32)
    return HeadPairs(logits, event, value)


def test_every_example_has_a_finite_loss_and_gradient(kind):
    logits = logits_of()
    with tf.GradientTape() as tape:
        loss = kind.loss(examples(logits))
    assert loss.shape == (ROWS,)
    assert np.isfinite(loss).all()
    gradient = tape.gradient(loss, logits).numpy()
    assert np.isfinite(gradient).all()
    assert np.abs(gradient).max() > 1e-4


def test_what_takes_no_part_teaches_nothing(kind):
    logits = logits_of()
    with tf.GradientTape() as tape:
        loss = kind.loss(examples(logits))
    assert (np.abs(tape.gradient(loss, logits).numpy()[:, 3:]) < 1e-7).all()
    other = tf.Variable(logits.numpy() + np.where(np.arange(CANDIDATES) < 3, 0, 3.0).astype(np.float32))
    np.testing.assert_allclose(kind.loss(examples(other, drawn=tf.ones_like(other))),
                               kind.loss(examples(logits, drawn=tf.ones_like(logits))), atol=1e-5)  # fmt: skip


def test_following_the_gradient_lowers_the_loss(kind):
    logits = logits_of()
    given = examples(logits)
    losses = []
    for _ in range(60):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(kind.loss(HeadExamples(**{**vars(given), "logits": logits * 1.0})))
        losses.append(float(loss))
        logits.assign_sub(0.2 * tape.gradient(loss, logits))
    assert losses[-1] < 0.7 * losses[0]


def test_outputs_rise_with_the_logits_and_are_finite(kind):
    logits = tf.constant(np.linspace(-30, 30, 61).reshape(1, 61, 1), tf.float32)
    for scale, shift in ((0.0, 0.0), (-1.0, 0.5)):
        found = kind.output(logits, tf.fill([1, 1, 1], scale), tf.fill([1, 1, 1], shift)).numpy()
        assert found.shape == logits.shape
        assert np.isfinite(found).all()
        assert (np.diff(found[0, :, 0]) >= 0).all()
        assert np.ptp(found) > 0
        if kind.ranks:
            logs = kind.log_output(logits, tf.fill([1, 1, 1], scale), tf.fill([1, 1, 1], shift)).numpy()
            np.testing.assert_allclose(np.exp(logs), found, rtol=1e-4, atol=1e-12)
            assert (np.diff(logs[0, :, 0]) >= 0).all()


def test_calibration_brings_outputs_to_what_happened(kind):
    given = pairs()
    numbers = kind.calibrate(given)
    assert len(numbers) == 2
    assert np.isfinite(numbers).all()
    before, after = (report_of(kind, given, *n) for n in ((0.0, 0.0), numbers))
    assert after.error <= before.error
    assert after.predicted == pytest.approx(after.happened, rel=0.25)


@pytest.mark.parametrize("outcome", [True, False])
def test_what_always_or_never_happened_is_calibrated_to_finite_numbers(kind, outcome):
    assert np.isfinite(kind.calibrate(pairs(outcome))).all()


def report_of(kind, given, scale, shift):
    logits = tf.constant(given.logits[None, :, None])
    output = kind.output(logits, tf.fill([1, 1, 1], float(scale)), tf.fill([1, 1, 1], float(shift)))
    return kind.report("own", output.numpy().reshape(-1), given)


def test_its_report_is_of_its_pairs(kind):
    found = report_of(kind, pairs(), *kind.calibrate(pairs()))
    assert (found.head, found.kind) == ("own", kind.type)
    assert 0 < found.pairs <= PAIRS
    assert sum(one.pairs for one in found.bins) == found.pairs
    predicted = [one.predicted for one in found.bins]
    assert predicted == sorted(predicted)
    assert kind.type == "event" or found.line, "a kind that no column of the report is about says its numbers itself"


def test_it_stands_beside_the_other_heads_of_a_model(kind):
    """A head of the kind beside today's: who teaches it, what it costs, and whether it mixes into the score."""
    config = tiny_world.config(ranker={"heads": {"own": kind.model_dump()}}, search={"positives": POSITIVES})
    assert set(config.heads) == {"click", "own", "buy", "like"}
    kinds = kind_by_head(config)
    teacher = kinds["own"].taught_by("own")
    assert teacher in config.event_heads
    assert all(("own" in heads_of_task(config, task)) == (teacher in config.tasks[task].heads) for task in config.tasks)
    groups = HeadGroups(config)
    logits = tf.Variable(RNG.normal(size=(4, CANDIDATES, 4)).astype(np.float32))
    of_others = next(n for n, name in enumerate(config.heads) if name != teacher)
    batch = RankedBatch(
        logits=logits * 1.0,
        drawn=tf.ones([4, CANDIDATES]),
        allowed=tf.ones([4, CANDIDATES], tf.bool),
        head=tf.constant([config.heads.index(teacher)] * 2 + [of_others] * 2, tf.int64),
        value=tf.constant([40.0, np.nan, 40.0, np.nan]),
    )
    numbers = tf.zeros([4, 4, 2])
    with tf.GradientTape() as tape:
        loss = groups.loss(RankedBatch(**{**vars(batch), "logits": logits * 1.0}), numbers)
    gradient = tape.gradient(loss, logits).numpy()[..., config.heads.index("own")]
    assert np.abs(gradient[0]).max() > 1e-5
    assert (gradient[2:] == 0).all()
    outputs = groups.output(logits, numbers).numpy()
    assert outputs.shape == logits.shape
    np.testing.assert_allclose(outputs[..., 0], tf.sigmoid(logits[..., 0]), atol=1e-6)


POSITIVES = [{"event_type": "click"}, {"event_type": "view", "head": "own"}]


# --- in a model ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def world(kind, eagerly, tmp_path_factory):
    """The tiny world with a head of the kind, taught by the searches, whose clicks have values; trained a little."""
    teacher = kind.taught_by("own")
    config: Config = tiny_world.config(
        {"epochs": 2, "batch_examples": 400},
        ranker={"heads": {"own": kind.model_dump()}, "signals": []},
        search={"positives": [{"event_type": "click", "head": teacher}]},
    )
    log = normalise(**tiny_world.tables())
    prepared = prepare(log, config)
    seconds = 20.0 + 10.0 * (prepared.examples.item % 5)
    prepared = valued(prepared, value=seconds.astype(np.float32))
    return prepared, train(prepared, config, tmp_path_factory.mktemp("checkpoints"))


def valued(prepared, **columns):
    return dataclasses.replace(prepared, examples=dataclasses.replace(prepared.examples, **columns))


def numbers_of_own(trained, prepared):
    """Return the two numbers of the head on `search`, calibrated from the same start."""
    trained.model.calibration.assign(tf.zeros_like(trained.model.calibration))
    calibrate(trained, prepared, ["search"])
    return trained.model.calibration.numpy()[1, trained.model.config.heads.index("own")]


def test_calibration_sees_the_end_of_the_fit_window_and_nothing_later(world):
    prepared, trained = world
    examples = prepared.examples
    late = examples.timestamp >= trained.fit_end
    other = {"item": (examples.item + 1) % (2 * tiny_world.COMMUNITY), "value": examples.value * 3}
    found = numbers_of_own(trained, prepared)
    for where, expected in ((late, True), (~late, False)):
        columns = {name: np.where(where, column, getattr(examples, name)) for name, column in other.items()}
        changed = numbers_of_own(trained, valued(prepared, **columns))
        assert (changed == found).all() == expected


def test_the_report_of_a_task_has_its_line(world):
    """On requests behind the fit window; calibrated outputs are nearer to what happened there."""
    prepared, trained = world
    rules = CandidateRules(prepared, trained.model.config)
    requests = prepared.between(trained.fit_end, None)
    requests = requests.take(requests.task == "search")
    encoder = RequestEncoder(trained.model, prepared, trained.quality)
    found = []
    for calibrated in (False, True):
        trained.model.calibration.assign(tf.zeros_like(trained.model.calibration))
        if calibrated:
            calibrate(trained, prepared, ["search"])
        reports = diagnose(encoder, rules, requests, "search").calibration
        found.append(next(report for report in reports if report.head == "own"))
    before, after = found
    assert after.pairs > 0
    assert after.happened == pytest.approx(before.happened)
    assert abs(after.predicted - after.happened) < abs(before.predicted - before.happened)


def test_an_example_teaches_the_head_of_its_event_alone():
    """Of today's heads, which are one group: as before there were kinds."""
    config = tiny_world.config()
    [group] = HeadGroups(config).groups
    assert group.taught is None
    assert MISSING not in group.heads
    assert group.heads == tuple(range(len(config.heads)))
