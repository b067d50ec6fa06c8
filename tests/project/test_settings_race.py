"""A race of settings: who takes part, who survives a round, what it may cost, and where its winner goes."""

import dataclasses

import numpy as np
import pytest
import tiny_world

from unified_ranker.project.holdout import learn_from_holdout
from unified_ranker.project.project_report import TrainingFacts
from unified_ranker.project.settings_race import LEAST_MINUTES, entrants, race, race_settings, with_training
from unified_ranker.project.train_stage import train_model
from unified_ranker.training.trained_files import load_trained, save_trained

ENTRANTS = [{}, {"learning_rate": 1.0}, {"learning_rate": 2.0}, {"learning_rate": 3.0}]


class Track:
    """Trainings whose gains are known: NDCG@10 by settings and epochs; each takes a second an epoch."""

    def __init__(self, ndcg):
        self.ndcg, self.now, self.runs = ndcg, 0.0, []

    def measure(self, settings, epochs):
        self.now += epochs
        rate = settings.get("learning_rate", 0.0)
        self.runs.append((rate, epochs))
        noise = np.random.default_rng(3).normal(0, 0.01, (2, 200))
        return [np.clip(self.ndcg(rate, epochs) + noise, 0, 1)]

    def race(self, seconds=1000.0):
        return race(ENTRANTS, self.measure, seconds, clock=lambda: self.now)


def test_the_winner_is_the_best_at_the_last_length():
    track = Track(lambda rate, epochs: 0.1 + 0.05 * rate)
    assert track.race() == {"learning_rate": 3.0}
    assert track.runs == [(0.0, 2), (1.0, 2), (2.0, 2), (3.0, 2), (0.0, 4), (3.0, 4)]


def test_who_is_fast_at_first_and_worse_in_the_end_does_not_win():
    track = Track(lambda rate, epochs: 0.3 if rate == 2 and epochs == 2 else 0.2 - 0.01 * rate)
    assert track.race() == {}


def test_a_lead_that_chance_may_make_leaves_the_declared_settings():
    assert Track(lambda rate, epochs: 0.1 * (1 + 0.005 * rate)).race() == {}
    assert Track(lambda rate, epochs: 0.1 * (1 + 0.05 * rate)).race() == {"learning_rate": 3.0}


def test_a_race_that_takes_too_long_ends_with_its_first_training():
    """The first training takes 2 seconds, all of them 16."""
    track = Track(lambda rate, epochs: 0.1 + 0.05 * rate)
    assert track.race(seconds=15.9) == {}
    assert track.runs == [(0.0, 2)]
    assert Track(lambda rate, epochs: 0.1 + 0.05 * rate).race(seconds=16.1) == {"learning_rate": 3.0}


def test_the_declared_settings_take_part_and_the_others_change_rate_and_temperature_alike():
    declared = tiny_world.config({"learning_rate": 0.01, "temperature": 0.5})
    first, *others = entrants(declared)
    assert first == {}
    assert len(others) == 3
    for settings in others:
        faster, hotter = settings["learning_rate"] / 0.01, settings["temperature"] / 0.5
        assert (faster > 1) == (hotter > 1)
    assert max(s["temperature"] for s in entrants(tiny_world.config({"temperature": 0.9}))[1:]) == 1.0


def test_settings_replace_those_of_the_training_alone():
    declared = tiny_world.config({"learning_rate": 0.01})
    changed = with_training(declared, {"learning_rate": 0.5, "epochs": 3})
    assert (changed.project.training.learning_rate, changed.project.training.epochs) == (0.5, 3)
    assert changed.towers == declared.towers
    assert with_training(declared, {}) is declared


# --- in a training ----------------------------------------------------------------------------------------------


def slow(**training):
    """Declarations whose learning rate is too low for two epochs."""
    small = {"epochs": 2, "batch_examples": 100, "blend": False, "patience": 1, "learning_rate": 0.001}
    return tiny_world.config({**small, **training}, ranker={"signals": []})


def halved():
    """The world with a validation slice of half the fit window, so that every task has requests to be measured on."""
    world = tiny_world.prepared()
    middle = int(np.quantile(world.between(None, world.split.validation_end).timestamp, 0.5))
    return dataclasses.replace(world, split=dataclasses.replace(world.split, train_end=middle))


@pytest.mark.xdist_group("tiny_model")
def test_the_winner_trains_the_holdout_and_the_release_and_is_kept_with_it(tmp_path, eagerly):
    declared = slow(minutes=LEAST_MINUTES)
    found = learn_from_holdout(halved(), declared, (), tmp_path / "holdout")
    assert found.settings in entrants(declared)
    assert found.settings["learning_rate"] > 0.001
    trained = train_model(halved(), declared, (), tmp_path)
    assert trained.settings == found.settings
    assert trained.model.config.project.training.learning_rate == found.settings["learning_rate"]
    (tmp_path / "kept").mkdir()
    save_trained(trained, tmp_path / "kept")
    assert load_trained(tmp_path / "kept", halved(), declared).settings == found.settings
    assert "learning_rate" in TrainingFacts.of(trained).notes[0]


@pytest.mark.parametrize("training", [{"minutes": LEAST_MINUTES - 1}, {"minutes": 60, "race": False}, {}])
def test_a_short_training_and_one_that_declares_so_have_no_race(tmp_path, training):
    declared, world = slow(**training), halved()
    assert race_settings(world, declared, (), {}, world.split.train_end, tmp_path) == {}
    assert not list(tmp_path.iterdir())
