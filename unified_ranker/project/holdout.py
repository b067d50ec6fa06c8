"""The holdout of a training job: a model of the fit window but for its last part, where epochs and blend are found."""

import json
import logging
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from unified_ranker.config import Config
from unified_ranker.core.files import write_whole
from unified_ranker.evaluation.blend_weights import ChannelWeight, TaskBlend
from unified_ranker.project.settings_race import race_settings, with_training

if TYPE_CHECKING:
    from unified_ranker.evaluation.epoch_watch import EpochWatch
    from unified_ranker.model.ranker import UnifiedRanker
    from unified_ranker.prepare.examples import Examples
    from unified_ranker.prepare.prepared import Prepared
    from unified_ranker.prepare.quality import QualityAsOf
    from unified_ranker.tasks.blend import FittedBlend
    from unified_ranker.training.optimizer import TrainingLength
    from unified_ranker.training.trained import TrainedModel

logger = logging.getLogger(__name__)

_LEAST_SHARE = 0.05
"""Least share of the fit window's examples that the blend is fitted on, where less is declared for validation."""


@dataclass(frozen=True)
class Holdout:
    """Findings of the holdout model for the model of the release.

    Attributes:
        blends: of each task that has enough requests.
        epochs: after how many it was best.
        scores: mean log NDCG@10 by epochs, where it was measured.
        settings: values of `training` that won a race; none where the declared ones did, or none was run.
    """

    blends: "tuple[FittedBlend, ...]" = ()
    epochs: int | None = None
    scores: dict[int, float] = field(default_factory=dict)
    settings: Mapping[str, float] = field(default_factory=dict)

    @property
    def training(self) -> dict[str, float | int]:
        """Values of `training` in project.yaml, in place of the declared, for the model of the release."""
        return dict(self.settings) | ({} if self.epochs is None else {"epochs": self.epochs})


def learn_from_holdout(prepared: "Prepared", config: Config, tasks: Sequence[str], checkpoints: Path) -> Holdout:
    """Train on the fit window but for its last part; find the epochs, and the blend of each task, on that part.

    They hold for a model that is trained on the whole window by the same settings: it relates to signals and baselines
    as this one does, and has seen a little more. What is found is kept until the whole training is done.

    Args:
        prepared: the data.
        config: the declarations.
        tasks: to train for; all when empty.
        checkpoints: where the epochs are kept.
    """
    from unified_ranker.evaluation.blend_fit import LEAST_REQUESTS, fit_blends
    from unified_ranker.evaluation.calibrate import calibrate
    from unified_ranker.evaluation.candidates import CandidateRules
    from unified_ranker.evaluation.scoring import RequestEncoder

    kept = checkpoints / "found.json"
    if kept.is_file() and (earlier_findings := _read(kept)) is not None:
        return earlier_findings
    names = list(tasks or config.tasks)
    before, later = _parts(prepared, config)
    if not _enough(later, names) or not np.isin(before.task, names).any():
        logger.warning(
            "No blend is fitted: no task has %d positives in the last part of the fit window. The ranking head decides "
            "alone; bring a longer log.",
            LEAST_REQUESTS,
        )
        return Holdout()
    began = time.perf_counter()
    settings = race_settings(
        prepared, config, tasks, _enough(later, names), blend_start(prepared, config), checkpoints / "race"
    )
    config = with_training(config, settings)
    earlier, watch = train_holdout(prepared, config, tasks, checkpoints, began)
    blends: tuple[FittedBlend, ...] = ()
    if config.project.training.blend:
        # The score of several heads is a sum of their calibrated outputs.
        encoder = RequestEncoder(earlier.model, prepared, earlier.quality)
        calibrate(earlier, prepared, names, encoder)
        blends = tuple(fit_blends(encoder, CandidateRules(prepared, config), later, names))
    found = Holdout(blends, watch.best, watch.scores, settings)
    shutil.rmtree(checkpoints, ignore_errors=True)
    checkpoints.mkdir(parents=True)
    tree = {"epochs": found.epochs, "scores": found.scores, "settings": dict(settings)}
    write_whole(kept, json.dumps({"form": _form(), "blends": [b.to_json() for b in blends], **tree}))
    return found


def train_holdout(
    prepared: "Prepared", config: Config, tasks: Sequence[str], checkpoints: Path, began: float | None = None
) -> "tuple[TrainedModel, EpochWatch]":
    """Train on the fit window but for its last part, for as many epochs as gain there and have time.

    Args:
        prepared: the data, with enough requests in that part.
        config: the declarations.
        tasks: to train for; all when empty.
        checkpoints: where the epochs are kept; a training that was interrupted goes on from them.
        began: when the time of the training began, by `time.perf_counter`; None: now.

    Returns:
        The model with the weights that were best, and what was measured.
    """
    from unified_ranker.evaluation.epoch_watch import Budget, EpochWatch, LaterGains
    from unified_ranker.training.training_job import train

    began = time.perf_counter() if began is None else began
    before, later = _parts(prepared, config)
    requests = _enough(later, list(tasks or config.tasks))
    training, watches, budget = config.project.training, [], None
    if training.minutes is not None:
        budget = Budget(60 * training.minutes, began, len(before) / (len(before) + len(later)))

    def watched(model: "UnifiedRanker", quality: "QualityAsOf", length: "TrainingLength") -> EpochWatch:
        measure = LaterGains(model, prepared, quality, requests)
        watches.append(EpochWatch(model, length, measure, checkpoints, patience=training.patience, budget=budget))
        return watches[0]

    end = blend_start(prepared, config)
    return train(prepared, config, checkpoints, tuple(tasks), end=end, watched=watched), watches[0]


def _parts(prepared: "Prepared", config: Config) -> "tuple[Examples, Examples]":
    """Return the examples of the fit window: those that the holdout model learns from, and the later ones."""
    from unified_ranker.prepare.prepared import fit_end_of

    begin = blend_start(prepared, config)
    return prepared.between(None, begin), prepared.between(begin, fit_end_of(prepared, config))


def _enough(later: "Examples", tasks: Sequence[str]) -> "dict[str, Examples]":
    """Return the requests of each task that has enough of them for a fit."""
    from unified_ranker.evaluation.blend_fit import LEAST_REQUESTS

    of_tasks = {task: later.take(later.task == task) for task in tasks}
    return {task: requests for task, requests in of_tasks.items() if len(requests) >= LEAST_REQUESTS}


def _form() -> list[str]:
    """Return the form of kept findings: the names of their fields."""
    from unified_ranker.tasks.blend import FittedBlend

    return [one.name for kind in (Holdout, FittedBlend) for one in fields(kind)]


def _read(kept: Path) -> Holdout | None:
    """Return kept findings; None for those of another version of this package, whose form is another."""
    from unified_ranker.tasks.blend import FittedBlend

    tree = json.loads(kept.read_text(encoding="utf-8"))
    if tree.get("form") != _form():
        logger.info("what the holdout found in another version of unified_ranker is found again")
        return None
    scores = {int(epochs): score for epochs, score in tree["scores"].items()}
    return Holdout(tuple(map(FittedBlend.of_json, tree["blends"])), tree["epochs"], scores, tree["settings"])


def blend_start(prepared: "Prepared", config: Config) -> int:
    """Return where the part begins that the blend is fitted on, in seconds.

    It is the validation slice where the model learns from that, too; else the last part of the train slice, of the same
    share.
    """
    split = config.project.split
    if split.fit_on == "train_and_validation" and split.validation >= _LEAST_SHARE * (split.train + split.validation):
        return prepared.split.train_end
    share = max(split.validation / (split.train + split.validation), _LEAST_SHARE)
    from unified_ranker.prepare.prepared import fit_end_of

    times = prepared.between(None, fit_end_of(prepared, config)).timestamp
    return int(np.quantile(times, 1 - share, method="lower")) if len(times) else fit_end_of(prepared, config)


def blend_weights(trained: "TrainedModel") -> tuple[TaskBlend, ...]:
    """Return what the served model blends, in the order of the tasks; none for a task without a fit.

    A model that went on from a release has its blend, but not what was measured when it was fitted.
    """
    from unified_ranker.tasks.blend import BLEND

    blend, fits = trained.model.blend, {found.task: found for found in trained.blends}
    factors, fitted, blends = blend.factors.numpy(), blend.fitted.numpy(), []
    for number, task in enumerate(trained.model.config.tasks, start=1):
        if not fitted[number]:
            continue
        fit = fits.get(task)
        ndcg = {} if fit is None else fit.ndcg
        channels = [
            ChannelWeight(name, float(weight), ndcg.get(name))
            for name, weight in zip(blend.channels, factors[number], strict=True)
        ]
        channels.sort(key=lambda one: (one.weight, one.ndcg or 0.0), reverse=True)
        requests, found = (0, 0.0) if fit is None else (fit.requests, fit.found)
        blends.append(TaskBlend(task, requests, found, ndcg.get(BLEND), tuple(channels)))
    return tuple(blends)
