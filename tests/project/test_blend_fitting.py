"""The blend of a training job: where its slice begins, what its holdout model has seen, and who keeps it."""

import dataclasses

import numpy as np
import pytest
import tiny_world

from unified_ranker.evaluation.blend_fit import LEAST_REQUESTS
from unified_ranker.prepare.prepared import fit_end_of
from unified_ranker.project import train_stage
from unified_ranker.project.blend_fitting import blend_start, fit_blend_by_holdout
from unified_ranker.project.train_stage import train_model
from unified_ranker.tasks.blend import BLEND
from unified_ranker.training import training_job
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
        trained = train_model(halved(), config(), (), directory, calibrated=False)
    return trained, made, directory


def test_two_models_are_trained_and_the_second_is_of_the_whole_window(job):
    trained, made, directory = job
    world = halved()
    assert [model.fit_end for model in made] == [blend_start(world, config()), fit_end_of(world, config())]
    assert trained.model is made[1].model
    assert not (directory / "holdout").exists()


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


# --- who goes without -------------------------------------------------------------------------------------------


@pytest.fixture
def trainings(monkeypatch):
    """The ends of the windows of all that is trained, without any training."""
    ends = []

    def train(prepared, config, *rest, end=None, **more):
        ends.append(end)
        return tiny_world.trained()

    monkeypatch.setattr(training_job, "train", train)
    return ends


def test_a_project_may_do_without(trainings, tmp_path):
    trained = train_model(tiny_world.prepared(), config(blend=False), (), tmp_path, calibrated=False)
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
    assert fit_blend_by_holdout(short, config(), (), tmp_path) == ()
    nothing_before = dataclasses.replace(world, examples=world.examples.take(rows))
    late = config({"fit_on": "train_and_validation"})
    assert fit_blend_by_holdout(nothing_before, late, (), tmp_path) == ()
    assert trainings == []
    assert "No blend is fitted" in caplog.text


def test_a_training_that_goes_on_from_a_release_fits_no_blend(trainings, tmp_path, monkeypatch):
    from unified_ranker.training import continuing

    monkeypatch.setattr(continuing, "read_start", lambda release: release)
    monkeypatch.setattr(train_stage, "fit_blend_by_holdout", lambda *rest: pytest.fail("fitted"))
    train_model(tiny_world.prepared(), config(), (), tmp_path, tmp_path / "release", calibrated=False)
    assert trainings == [None]
