"""The holdout of a training job: where its slice begins, what its model has seen, and what it finds."""

import dataclasses

import numpy as np
import pytest
import tiny_world

from unified_ranker.evaluation import calibrate, passes
from unified_ranker.evaluation.blend_fit import LEAST_REQUESTS
from unified_ranker.evaluation.passes import Budget, PassWatch, error_of_difference
from unified_ranker.prepare.prepared import fit_end_of
from unified_ranker.project import train_stage
from unified_ranker.project.holdout import Holdout, blend_start, learn_from_holdout
from unified_ranker.project.train_stage import train_model
from unified_ranker.tasks.blend import BLEND
from unified_ranker.training import training_job
from unified_ranker.training.optimizer import TrainingLength
from unified_ranker.training.trained_files import load_trained, save_trained

pytestmark = pytest.mark.xdist_group("tiny_model")
SIGNALS = [{"type": "source_pairs"}, {"type": "popular"}, {"type": "neighbours"}, {"type": "query_memory"}]
SHORT = {"epochs": 1, "batch_examples": 400}


def config(split=None, **training):
    whole = tiny_world.config({**SHORT, **training}, ranker={"signals": SIGNALS})
    changed = whole.project.split.model_copy(update=split or {})
    return whole.model_copy(update={"project": whole.project.model_copy(update={"split": changed})})


# --- where the slice begins -------------------------------------------------------------------------------------


def test_it_is_the_validation_slice_where_the_model_learns_from_that():
    world = tiny_world.prepared()
    assert blend_start(world, config({"fit_on": "train_and_validation"})) == world.split.train_end


@pytest.mark.parametrize(("train", "validation", "share"), [(0.8, 0.1, 1 / 9), (0.6, 0.3, 1 / 3), (0.9, 0.01, 0.05)])
def test_else_it_is_as_large_a_part_of_the_train_slice(train, validation, share):
    world = tiny_world.prepared()
    declared = config({"fit_on": "train", "train": train, "validation": validation})
    begin, end = blend_start(world, declared), fit_end_of(world, declared)
    assert end == world.split.train_end
    whole = world.between(None, end)
    assert len(world.between(begin, end)) / len(whole) == pytest.approx(share, abs=2 / len(whole) + 0.005)


def test_a_validation_slice_of_nearly_nothing_is_too_little():
    world = tiny_world.prepared()
    declared = config({"fit_on": "train_and_validation", "train": 0.89, "validation": 0.01})
    begin, end = blend_start(world, declared), fit_end_of(world, declared)
    whole = world.between(None, end)
    assert len(world.between(begin, end)) / len(whole) == pytest.approx(0.05, abs=2 / len(whole) + 0.005)


def halved():
    """The world with a validation slice of half the fit window, so that every task has requests to be fitted on."""
    world = tiny_world.prepared()
    middle = int(np.quantile(world.between(None, world.split.validation_end).timestamp, 0.5))
    return dataclasses.replace(world, split=dataclasses.replace(world.split, train_end=middle))


# --- the holdout ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """A whole training, and every model that it trained."""
    made, directory = [], tmp_path_factory.mktemp("job")
    with pytest.MonkeyPatch.context() as patch:
        train = training_job.train
        patch.setattr(training_job, "train", lambda *rest, **more: made.append(train(*rest, **more)) or made[-1])
        trained = train_model(halved(), config(), (), directory)
    return trained, made, directory


def test_two_models_are_trained_and_the_second_is_of_the_whole_window(job):
    trained, made, directory = job
    world = halved()
    assert [model.fit_end for model in made] == [blend_start(world, config()), fit_end_of(world, config())]
    assert trained.model is made[1].model
    # What was found is kept for a training that is interrupted after it, and the weights are not.
    assert [file.name for file in (directory / "holdout").iterdir()] == ["found.json"]


def test_nothing_of_the_slice_reaches_the_model_of_the_holdout(job):
    """Its weights and tables are those of a log that ends where the slice begins."""
    _, made, directory = job
    world, begin = halved(), made[0].fit_end
    later = world.examples.timestamp >= begin
    other = np.where(later, (world.examples.item + 1) % 18, world.examples.item)
    events = dataclasses.replace(
        world.events,
        item=np.where(world.events.timestamp >= begin, (world.events.item + 1) % 18, world.events.item),
    )
    histories = dataclasses.replace(
        world.histories,
        item=np.where(world.histories.timestamp >= begin, (world.histories.item + 1) % 18, world.histories.item),
    )
    changed = dataclasses.replace(
        world, examples=dataclasses.replace(world.examples, item=other), events=events, histories=histories
    )
    assert later.sum() > 100
    again = training_job.train(changed, config(), directory / "changed", end=begin)
    calibrate.calibrate(again, changed)
    for variable, same in zip(made[0].model.variables, again.model.variables, strict=True):
        np.testing.assert_array_equal(variable.numpy(), same.numpy(), err_msg=variable.name)


def test_the_fit_is_in_the_model_of_the_whole_window(job):
    trained, _, _ = job
    tasks = [*tiny_world.TASKS]
    assert [blend.task for blend in trained.blends] == tasks
    for blend in trained.blends:
        number = tasks.index(blend.task) + 1
        np.testing.assert_array_equal(trained.model.blend.factors.numpy()[number], blend.factors)
        assert trained.model.blend.fitted.numpy()[number] == 1
        assert (blend.factors >= 0).all()
        assert blend.ndcg[BLEND] >= blend.ndcg[blend.best_channel]
    assert trained.model.blend.fitted.numpy()[0] == 0


def test_a_saved_model_has_its_blend_when_it_is_loaded(job, tmp_path):
    trained, _, _ = job
    save_trained(trained, tmp_path)
    again = load_trained(tmp_path, tiny_world.prepared(), config())
    for name in ("factors", "fitted"):
        np.testing.assert_array_equal(getattr(again.model.blend, name), getattr(trained.model.blend, name))
    assert trained.model.blend.fitted.numpy().sum() == len(tiny_world.TASKS)
    assert [(b.task, b.requests, b.found, b.ndcg) for b in again.blends] == [
        (b.task, b.requests, b.found, b.ndcg) for b in trained.blends
    ]


# --- the passes -------------------------------------------------------------------------------------------------


def gains_of(score, noise=0.0, requests=50):
    """Gains of one task whose mean log NDCG@10 is a score; requests differ by chance."""
    own = np.random.default_rng(abs(hash((score, noise)))).normal(0, 1, requests)
    return [np.full((2, requests), np.exp(score) - 1e-3) + noise * (own - own.mean())]


class WatchedRun:
    """Stands for a job whose measurements are known: `scores` of passes."""

    def __init__(self, scores, directory, epochs=8, **more):
        self.length, self.model = TrainingLength(10, epochs), tiny_world.trained().model
        quality = tiny_world.trained().quality
        self.watch = PassWatch(
            self.model,
            quality,
            self.length,
            tiny_world.prepared(),
            {},
            directory,
            **{"patience": 2, **more},
        )
        self.watch.model = self.model
        self.watch._measured_gains = lambda: gains_of(scores[self.passes])
        self.model.stop_training = False

    def run(self, first=1):
        """The passes that it takes."""
        for self.passes in range(first, 100):
            self.watch.on_epoch_begin(self.passes - 1)
            self.watch.on_epoch_end(self.passes - 1)
            if self.model.stop_training:
                return self.passes
        raise AssertionError("it never ends")


def test_a_training_that_gains_takes_all_its_passes(tmp_path):
    watched = WatchedRun(dict.fromkeys(range(9), 0.0) | {4: 0.1, 5: 0.2, 7: 0.3, 8: 0.4}, tmp_path)
    assert watched.run() == 8
    assert watched.watch.scores == pytest.approx({4: 0.1, 5: 0.2, 7: 0.3, 8: 0.4})
    assert watched.watch.best == 8


def test_one_that_no_longer_gains_ends_and_has_the_weights_with_which_it_was_best(tmp_path):
    watched = WatchedRun({4: 0.3, 5: 0.2, 7: 0.1, 8: 0.9}, tmp_path)
    weights = watched.model.blend.factors.numpy().copy()
    written = watched.watch._best.write
    watched.watch._best.write = lambda place: (watched.model.blend.factors.assign(weights + 1), written(place))
    assert watched.run() == 7
    assert watched.watch.best == 4
    watched.model.blend.factors.assign(weights)
    watched.watch.on_train_end()
    np.testing.assert_array_equal(watched.model.blend.factors, weights + 1)
    watched.model.blend.factors.assign(weights)


def test_a_difference_that_chance_makes_costs_no_passes(tmp_path):
    watched = WatchedRun({4: 0.31, 5: 0.32, 7: 0.3, 8: 0.3}, tmp_path)
    assert watched.run() == 8
    assert watched.watch.best == 8


@pytest.mark.parametrize(("noise", "best"), [(0.0, 4), (3.0, 8)])
def test_few_requests_that_differ_much_cut_no_passes(tmp_path, noise, best):
    """Fewer passes are taken where a loss is more than what drawing the requests explains."""
    watched = WatchedRun({}, tmp_path, patience=9)
    scores = {4: 0.4, 5: 0.3, 7: 0.3, 8: 0.3}
    watched.watch._measured_gains = lambda: gains_of(scores[watched.passes], noise)
    assert watched.run() == 8
    assert watched.watch.best == best


def test_the_error_of_a_difference_is_that_of_repeated_draws():
    rng = np.random.default_rng(3)
    drawn = [[rng.gamma(1, 1, (2, 400)), rng.gamma(1, 1, (2, 400))] for _ in range(300)]
    shares = [(one - other).mean(1) / np.maximum(one.mean(1), other.mean(1)) for one, other in drawn]
    found = np.mean([error_of_difference([one], [other]) for one, other in drawn])
    assert found == pytest.approx(np.std(np.mean(shares, 1)), rel=0.15)


def test_an_interrupted_one_goes_on_where_it_was(tmp_path):
    scores = {4: 0.3, 5: 0.2, 7: 0.1}
    watched = WatchedRun(scores, tmp_path)
    for watched.passes in range(1, 6):
        watched.watch.on_epoch_begin(watched.passes - 1)
        watched.watch.on_epoch_end(watched.passes - 1)
    again = WatchedRun(scores, tmp_path)
    assert again.run(first=6) == 7
    assert again.watch.best == 4
    # One that was stopped after its end has nothing left to do.
    assert WatchedRun(scores, tmp_path).length.epochs == 7


def test_the_budget_has_room_for_both_models_and_what_is_measured():
    """800 of 1,000 examples: a pass of 10 s is one of 12.5 s of the other model. Two builds, and 14 measurements."""
    budget = Budget(seconds=200.0, began=0.0, share=0.8)
    assert budget.passes(build=10.0, one=10.0, measurement=0.0) == 8
    assert budget.passes(build=10.0, one=10.0, measurement=3.0) == 6
    assert budget.passes(build=90.0, one=10.0, measurement=3.0) == 2


def test_the_budget_cuts_the_passes_by_what_the_second_takes(tmp_path, monkeypatch):
    clock = iter([30.0, 100.0, 110.0, *range(200, 300)])
    monkeypatch.setattr(passes.time, "perf_counter", lambda: next(clock))
    watched = WatchedRun({}, tmp_path, patience=0, budget=Budget(160.0, 20.0, 1.0))
    before = float(watched.length.steps)
    # Ten seconds went by before the first pass.
    assert watched.run() == 7
    assert float(watched.length.steps) == before * 7 / 8
    assert watched.watch.best == 7


def test_where_nothing_is_measured_all_passes_are_taken(tmp_path):
    assert WatchedRun({}, tmp_path, patience=0).run() == 8
    assert WatchedRun({}, tmp_path / "other", patience=0, budget=Budget(1e6, 0.0, 0.9)).run() == 8


def test_the_model_of_the_release_takes_the_passes_that_were_best(monkeypatch, tmp_path):
    trained = []
    monkeypatch.setattr(train_stage, "learn_from_holdout", lambda *rest: Holdout((), 2, {1: 0.1, 2: 0.2}))
    monkeypatch.setattr(
        training_job, "train", lambda _, config, *rest, **more: trained.append(config) or tiny_world.trained()
    )
    monkeypatch.setattr(calibrate, "calibrate", lambda *rest: None)
    train_model(tiny_world.prepared(), config(epochs=5, patience=1), (), tmp_path)
    assert [own.project.training.epochs for own in trained] == [2]


def test_what_is_measured_is_the_mean_of_logs_over_tasks(job, tmp_path):
    """Of two towers and ranking head, over the requests of the slice."""
    _, made, _ = job
    world, begin = halved(), made[0].fit_end
    later = world.between(begin, fit_end_of(world, config()))
    requests = {task: later.take(later.task == task) for task in tiny_world.TASKS}
    watch = PassWatch(made[0].model, made[0].quality, TrainingLength(1, 1), world, requests, tmp_path, patience=1)
    watch._gains = {1: watch._measured_gains()}
    whole = watch.scores[1]
    parts = []
    for task in requests:
        watch._later = {task: requests[task]}
        watch._gains = {1: watch._measured_gains()}
        parts.append(watch.scores[1])
    assert whole == pytest.approx(np.mean(parts))
    assert np.log(0.001) < whole < np.log(1.001)
    assert len(set(parts)) > 1


# --- who goes without -------------------------------------------------------------------------------------------


@pytest.fixture
def trainings(monkeypatch):
    """The ends of the windows of all that is trained, without any training."""
    ends = []

    def train(prepared, config, *rest, end=None, **more):
        ends.append(end)
        return tiny_world.trained()

    monkeypatch.setattr(training_job, "train", train)
    # The tiny world's model is shared with other tests.
    monkeypatch.setattr(calibrate, "calibrate", lambda *rest: None)
    return ends


def test_a_project_may_do_without(trainings, tmp_path):
    trained = train_model(tiny_world.prepared(), config(blend=False), (), tmp_path)
    assert trainings == [None]
    assert trained.blends == ()
    assert not trained.model.blend.fitted.numpy().any()


def test_a_log_that_is_too_short_is_not_trained_twice(trainings, tmp_path, caplog):
    world = tiny_world.prepared()
    begin = blend_start(world, config())
    rows = np.flatnonzero(world.examples.timestamp >= begin)
    short = dataclasses.replace(
        world,
        examples=world.examples.take(
            np.append(np.flatnonzero(world.examples.timestamp < begin), rows[: LEAST_REQUESTS - 1])
        ),
    )
    assert learn_from_holdout(short, config(), (), tmp_path) == Holdout()
    nothing_before = dataclasses.replace(world, examples=world.examples.take(rows))
    late = config({"fit_on": "train_and_validation"})
    assert learn_from_holdout(nothing_before, late, (), tmp_path) == Holdout()
    assert trainings == []
    assert "No blend is fitted" in caplog.text


def test_a_training_that_goes_on_from_a_release_fits_no_blend(trainings, tmp_path, monkeypatch):
    from unified_ranker.training import continuing

    monkeypatch.setattr(continuing, "read_start", lambda release: release)
    monkeypatch.setattr(train_stage, "learn_from_holdout", lambda *rest: pytest.fail("fitted"))
    train_model(tiny_world.prepared(), config(), (), tmp_path, tmp_path / "release")
    assert trainings == [None]
