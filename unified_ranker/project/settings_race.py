"""Race of a few settings before a long training: successive halving (Jamieson and Talwalkar, arXiv 1502.07943).

Rate and temperature are raced together, because on every log that was searched what suits it lay on one line between
them (docs/records/training-settings.md).
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from unified_ranker.config import Config
from unified_ranker.core.arrays import Floats

if TYPE_CHECKING:
    from unified_ranker.prepare.examples import Examples
    from unified_ranker.prepare.prepared import Prepared

logger = logging.getLogger(__name__)

LEAST_MINUTES = 15.0
"""Minutes of a training from which a race may pay: in fewer, every epoch is worth more."""
_SHARE = 0.3
"""Share of the minutes that a race may take."""
_FIRST_EPOCHS = 2
"""Epochs of each entrant in the first round; the survivors of a round are trained twice as long in the next."""

Settings = Mapping[str, float]
"""Values of `training` in project.yaml by name."""
Measure = Callable[[Settings, int], list[Floats]]
"""NDCG@10 of a model that was trained by some settings for so many epochs, by task `[2, requests]`."""


def entrants(config: Config) -> list[dict[str, float]]:
    """Return the settings that are raced; the declared ones first."""
    training = config.project.training
    rate, temperature = training.learning_rate, training.temperature
    steps = ((2.0, 1.4), (0.5, 0.75), (3.0, 1.7))
    return [
        {},
        *({"learning_rate": rate * faster, "temperature": min(temperature * hotter, 1.0)} for faster, hotter in steps),
    ]


def race(
    running: Sequence[Settings], measure: Measure, seconds: float, clock: Callable[[], float] = time.perf_counter
) -> Settings:
    """Return the settings that win; the first, which are the declared ones, unless another is better than by chance.

    In each round the better half survives, and the first besides: the last comparison is with it, at equal length.

    Args:
        running: settings, the declared ones first.
        measure: trains by some settings, and measures.
        seconds: most that the race may take. A race that the first training shows to take longer is not run.
        clock: seconds.
    """
    from unified_ranker.evaluation.epoch_watch import is_better, mean_log

    declared, others, epochs = running[0], list(running[1:]), _FIRST_EPOCHS
    began, found = clock(), measure(declared, _FIRST_EPOCHS)
    needed = (clock() - began) * _trainings(len(others))
    if needed > seconds:
        logger.info("no race of settings: it would take %.0f of at most %.0f seconds", needed, seconds)
        return declared
    while True:
        gains = [measure(other, epochs) for other in others]
        order = sorted(range(len(others)), key=lambda number: mean_log(gains[number]), reverse=True)
        best = order[0]
        for number in order:
            logger.info("%d epochs of %s: mean log NDCG@10 %.4f", epochs, dict(others[number]), mean_log(gains[number]))
        if len(others) == 1:
            return others[best] if is_better(gains[best], found) else declared
        others = [others[number] for number in order[: len(others) // 2]]
        epochs *= 2
        found = measure(declared, epochs)


def _trainings(others: int) -> float:
    """Return how many trainings of the first round's length a race of the declared settings and others takes."""
    total, length = 0.0, 1.0
    while True:
        total += length * (1 + others)
        if others == 1:
            return total
        others, length = others // 2, 2 * length


def race_settings(
    prepared: "Prepared", config: Config, tasks: Sequence[str], requests: "dict[str, Examples]", end: int, folder: Path
) -> Settings:
    """Race settings for the training of a project; returns those to train by, {} for the declared ones.

    Args:
        prepared: the data.
        config: the declarations, with the minutes of the training.
        tasks: to train for; all when empty.
        requests: of each task, later than `end`.
        end: of what the models learn from, seconds.
        folder: for the epochs of the trainings.
    """
    from unified_ranker.evaluation.epoch_watch import LaterGains
    from unified_ranker.training.training_job import train

    def measure(settings: Settings, epochs: int) -> list[Floats]:
        name = "-".join([str(epochs), *(f"{value:g}" for value in settings.values())])
        entered = with_training(config, {**settings, "epochs": epochs})
        trained = train(prepared, entered, folder / name, tuple(tasks), end=end)
        return LaterGains(trained.model, prepared, trained.quality, requests)()

    minutes = config.project.training.minutes
    if minutes is None or minutes < LEAST_MINUTES or not config.project.training.race:
        return {}
    return race(entrants(config), measure, 60 * minutes * _SHARE)


def with_training(config: Config, changed: Mapping[str, float | int]) -> Config:
    """Return the declarations with other values of `training` in project.yaml."""
    if not changed:
        return config
    training = config.project.training.model_copy(update=dict(changed))
    return config.model_copy(update={"project": config.project.model_copy(update={"training": training})})
