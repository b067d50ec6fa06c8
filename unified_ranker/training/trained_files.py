"""Files of a trained model: writing and loading."""

import json
from pathlib import Path

import numpy as np

from unified_ranker.config import Config
from unified_ranker.prepare.prepared import Prepared
from unified_ranker.prepare.vocabulary import Vocabulary
from unified_ranker.tasks.blend import FittedBlend
from unified_ranker.towers.tensorflow import tf
from unified_ranker.training.callbacks import restore_part
from unified_ranker.training.trained import TrainedModel
from unified_ranker.training.training_job import build_model, make_batches, make_weights

WEIGHTS_PREFIX = "weights"
TRAINING_DESCRIPTION = "training.json"


def save_trained(trained: TrainedModel, directory: Path) -> None:
    """Write weights, vocabulary, fit window and curves into `directory`, which must exist."""
    tf.train.Checkpoint(model=trained.model).write(str(directory / WEIGHTS_PREFIX))
    description = {
        "fit_end": trained.fit_end,
        "curves": trained.curves,
        "blends": [blend.to_json() for blend in trained.blends],
        "settings": trained.settings,
        "vocabulary": trained.vocabulary.to_json(),
    }
    (directory / TRAINING_DESCRIPTION).write_text(json.dumps(description), encoding="utf-8")


def load_trained(directory: Path, prepared: Prepared, config: Config) -> TrainedModel:
    """Rebuild the model that `save_trained` wrote, over the data that it was trained on."""
    description = json.loads((directory / TRAINING_DESCRIPTION).read_text(encoding="utf-8"))
    vocabulary, fit_end = Vocabulary.from_json(description["vocabulary"]), description["fit_end"]
    model, _, quality = build_model(prepared, config, fit_end, vocabulary)
    restore_part(model, str(directory / WEIGHTS_PREFIX))
    fit = prepared.between(None, fit_end)
    make_weights(model, make_batches(prepared, fit.take(np.arange(min(64, len(fit)))), model))
    restored = tf.train.Checkpoint(model=model).read(str(directory / WEIGHTS_PREFIX))
    restored.assert_existing_objects_matched()
    # The optimizer's variables stay behind: what is loaded is not trained further.
    restored.expect_partial()
    blends = tuple(FittedBlend.of_json(blend) for blend in description["blends"])
    return TrainedModel(
        model, vocabulary, quality, fit_end, description["curves"], blends, description.get("settings", {})
    )
