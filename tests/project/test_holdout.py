"""The holdout of a training job: where its slice begins, what its model has seen, and what it finds."""

import dataclasses

import numpy as np
import pytest
import tiny_world

from unified_ranker.evaluation.blend_fit import LEAST_REQUESTS
from unified_ranker.evaluation.calibrate import calibrate
from unified_ranker.evaluation.epoch_watch import Budget, EpochWatch, LaterGains, error_of_difference, mean_log
from unified_ranker.prepare.prepared import fit_end_of
from unified_ranker.project.holdout import Holdout, blend_start, learn_from_holdout, train_holdout
from unified_ranker.project.train_stage import train_model
from unified_ranker.release.items import write_items
from unified_ranker.tasks.blend import BLEND
from unified_ranker.towers.tensorflow import tf
from unified_ranker.training.continuing import write_start
from unified_ranker.training.optimizer import TrainingLength
from unified_ranker.training.trained_files import load_trained, save_trained

pytestmark = [pytest.mark.xdist_group("tiny_model"), pytest.mark.usefixtures("eagerly")]
SIGNALS = [{"type": "source_pairs"}, {"type": "popular"}, {"type": "neighbours"}, {"type": "query_memory"}]
SHORT = {"epochs": 1, "batch_examples": 400}


def config(split=None, **training):
    whole = tiny_world.config({**SHORT, **training}, ranker={"signals": SIGNALS})
    changed = whole.project.split.model_copy(update=split or {})
    return whole.model_copy(update={"project": whole.project.model_copy(update={"split": changed})})


def bare(**training):
    """Declarations of a model without signals that fits no blend, for what is said of its training alone."""
    return tiny_world.config({**SHORT, "blend": False, **training}, ranker={"signals": []})


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
    """A whole training, and the model of the holdout that it goes on from."""
    directory = tmp_path_factory.mktemp("job")
    earlier, _ = train_holdout(halved(), config(), (), directory / "holdout")
    return train_model(halved(), config(), (), directory), earlier, directory


def test_the_model_of_the_holdout_ends_where_the_slice_begins_and_the_other_is_of_the_whole_window(job):
    trained, earlier, directory = job
    world = halved()
    assert earlier.fit_end == blend_start(world, config())
    assert trained.fit_end == fit_end_of(world, config())
    # What was found is kept for a training that is interrupted after it, and the weights are not.
    assert [file.name for file in (directory / "holdout").iterdir()] == ["found.json"]


def test_nothing_of_the_slice_reaches_the_model_of_the_holdout(job):
    """Its weights and tables are those of a log that ends where the slice begins."""
    _, earlier, directory = job
    world, begin = halved(), earlier.fit_end
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
    again, _ = train_holdout(changed, config(), (), directory / "changed")
    calibrate(earlier, world)
    calibrate(again, changed)
    for variable, same in zip(earlier.model.variables, again.model.variables, strict=True):
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


# --- the epochs -------------------------------------------------------------------------------------------------


def gains_of(score, noise=0.0, requests=50):
    """Gains of one task whose mean log NDCG@10 is a score; requests differ by chance."""
    own = np.random.default_rng(abs(hash((score, noise)))).normal(0, 1, requests)
    return [np.full((2, requests), np.exp(score) - 1e-3) + noise * (own - own.mean())]


class WatchedRun:
    """Stands for a job whose measurements are known: `scores` of epochs. Each epoch sets `weight` to its number."""

    def __init__(self, scores, directory, epochs=8, noise=0.0, **more):
        self.scores, self.noise, self.epochs = scores, noise, 0
        self.length, self.model = TrainingLength(10, epochs), tf.keras.Model()
        self.model.weight = self.weight = tf.Variable(0.0)
        self.watch = EpochWatch(self.model, self.length, self.measured, directory, **{"patience": 2, **more})
        self.watch.model = self.model

    def measured(self):
        return gains_of(self.scores[self.epochs], self.noise)

    def run(self, first=1, last=100):
        """The epochs that it takes."""
        for self.epochs in range(first, last):
            self.watch.on_epoch_begin(self.epochs - 1)
            self.weight.assign(self.epochs)
            self.watch.on_epoch_end(self.epochs - 1)
            if self.model.stop_training:
                self.watch.on_train_end()
                return self.epochs
        return None


def test_a_training_that_gains_takes_all_its_epochs(tmp_path):
    watched = WatchedRun(dict.fromkeys(range(9), 0.0) | {4: 0.1, 5: 0.2, 7: 0.3, 8: 0.4}, tmp_path)
    assert watched.run() == 8
    assert watched.watch.scores == pytest.approx({4: 0.1, 5: 0.2, 7: 0.3, 8: 0.4})
    assert (watched.watch.best, watched.weight.numpy()) == (8, 8)


def test_one_that_no_longer_gains_ends_and_has_the_weights_with_which_it_was_best(tmp_path):
    watched = WatchedRun({4: 0.3, 5: 0.2, 7: 0.1, 8: 0.9}, tmp_path)
    assert watched.run() == 7
    assert (watched.watch.best, watched.weight.numpy()) == (4, 4)


def test_a_difference_that_chance_makes_costs_no_epochs(tmp_path):
    watched = WatchedRun({4: 0.31, 5: 0.32, 7: 0.3, 8: 0.3}, tmp_path)
    assert watched.run() == 8
    assert watched.watch.best == 8


@pytest.mark.parametrize(("noise", "best"), [(0.0, 4), (3.0, 8)])
def test_few_requests_that_differ_much_cut_no_epochs(tmp_path, noise, best):
    """Fewer epochs are taken where a loss is more than what drawing the requests explains."""
    watched = WatchedRun({4: 0.4, 5: 0.3, 7: 0.3, 8: 0.3}, tmp_path, noise=noise, patience=9)
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
    assert WatchedRun(scores, tmp_path).run(last=6) is None
    again = WatchedRun(scores, tmp_path)
    assert again.run(first=6) == 7
    assert (again.watch.best, again.weight.numpy()) == (4, 4)
    # One that was stopped after its end has nothing left to do.
    assert WatchedRun(scores, tmp_path).length.epochs == 7


def test_the_budget_has_room_for_both_models_and_what_is_measured():
    """800 of 1,000 examples: an epoch of 10 s is one of 12.5 s of the other model. Two builds, and 14 measurements."""
    budget = Budget(seconds=200.0, began=0.0, share=0.8)
    assert budget.epochs(build=10.0, one=10.0, measurement=0.0) == 8
    assert budget.epochs(build=10.0, one=10.0, measurement=3.0) == 6
    assert budget.epochs(build=90.0, one=10.0, measurement=3.0) == 2


def test_the_budget_cuts_the_epochs_by_what_the_second_takes(tmp_path):
    clock = iter([30.0, 100.0, 110.0, *range(200, 300)])
    budget = Budget(160.0, 20.0, 1.0)
    watched = WatchedRun({}, tmp_path, patience=0, budget=budget, clock=lambda: next(clock))
    before = float(watched.length.steps)
    # Ten seconds went by before the first epoch.
    assert watched.run() == 7
    assert float(watched.length.steps) == before * 7 / 8
    assert watched.watch.best == 7


def test_where_nothing_is_measured_all_epochs_are_taken(tmp_path):
    assert WatchedRun({}, tmp_path, patience=0).run() == 8
    assert WatchedRun({}, tmp_path / "other", patience=0, budget=Budget(1e6, 0.0, 0.9)).run() == 8


def test_the_model_of_the_release_takes_the_epochs_that_the_holdout_found(tmp_path):
    """In no time there are two of them."""
    declared = bare(epochs=5, minutes=1e-6)
    assert len(train_model(halved(), declared, ("home_feed",), tmp_path).curves["loss"]) == 2


def test_what_is_measured_is_the_mean_of_logs_over_tasks(job):
    """Of two towers and ranking head, over the requests of the slice."""
    _, earlier, _ = job
    world = halved()
    later = world.between(earlier.fit_end, fit_end_of(world, config()))
    requests = {task: later.take(later.task == task) for task in tiny_world.TASKS}
    gains = LaterGains(earlier.model, world, earlier.quality, requests)()
    assert [of_task.shape for of_task in gains] == [(2, min(len(of), 500)) for of in requests.values()]
    whole, parts = mean_log(gains), [mean_log([of_task]) for of_task in gains]
    assert whole == pytest.approx(np.mean(parts))
    assert np.log(0.001) < whole < np.log(1.001)
    assert len(set(parts)) > 1


def test_what_was_found_is_kept_for_a_training_that_goes_on(job):
    trained, _, directory = job
    again = learn_from_holdout(halved(), config(), (), directory / "holdout")
    assert again.epochs == config().project.training.epochs
    assert [blend.to_json() for blend in again.blends] == [blend.to_json() for blend in trained.blends]


def test_findings_of_another_version_are_found_again(tmp_path):
    """Here of an early one, which called epochs passes; of so short a log nothing is found."""
    (tmp_path / "found.json").write_text('{"blends": [], "passes": 3, "scores": {}}')
    assert learn_from_holdout(short_world(), config(), (), tmp_path) == Holdout()


# --- who goes without -------------------------------------------------------------------------------------------


def test_a_project_may_do_without(tmp_path):
    trained = train_model(tiny_world.prepared(), bare(), ("home_feed",), tmp_path)
    assert not (tmp_path / "holdout").exists()
    assert trained.blends == ()
    assert not trained.model.blend.fitted.numpy().any()


def short_world():
    """The world with a request too few in its last part."""
    world = tiny_world.prepared()
    late = world.examples.timestamp >= blend_start(world, config())
    before, later = np.flatnonzero(~late), np.flatnonzero(late)
    return dataclasses.replace(world, examples=world.examples.take(np.append(before, later[: LEAST_REQUESTS - 1])))


def test_a_log_that_is_too_short_is_not_trained_twice(tmp_path, caplog):
    world = tiny_world.prepared()
    rows = np.flatnonzero(world.examples.timestamp >= blend_start(world, config()))
    assert learn_from_holdout(short_world(), config(), (), tmp_path) == Holdout()
    nothing_before = dataclasses.replace(world, examples=world.examples.take(rows))
    late = config({"fit_on": "train_and_validation"})
    assert learn_from_holdout(nothing_before, late, (), tmp_path) == Holdout()
    assert not list(tmp_path.iterdir())
    assert "No blend is fitted" in caplog.text


def test_a_training_that_goes_on_from_a_release_keeps_its_blend_and_fits_none(job, tmp_path):
    released, _, _ = job
    world, release = halved(), tmp_path / "release"
    (release / "items").mkdir(parents=True)
    write_items(release / "items", world.item_ids, np.zeros((len(world.item_ids), 1)))
    write_start(release, dataclasses.replace(released, fit_end=blend_start(world, config())), world)
    continued = train_model(world, config(), (), tmp_path, release)
    assert not (tmp_path / "holdout").exists()
    assert continued.blends == ()
    assert released.model.blend.fitted.numpy().any()
    np.testing.assert_array_equal(continued.model.blend.factors, released.model.blend.factors)
