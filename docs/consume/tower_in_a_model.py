"""Second way: a tower as a part of another TensorFlow model, frozen.

    python docs/consume/tower_in_a_model.py releases/latest ../shared/data/retail

The other model is a small network over what a team has without the towers: at first a customer's habits (how recently,
how often, for how much), then also how often they bought each kind. With the tower it sees the customer as the release
does.
"""

import argparse
from pathlib import Path

import numpy as np
from next_kinds import KINDS, NextKinds, average_precision, load_task

from unified_ranker.export.tower import SavedTower
from unified_ranker.release.manifest import read_manifest
from unified_ranker.towers.tensorflow import tf

EPOCHS, BATCH = 30, 128


def build(width: int, tower: SavedTower | None) -> tf.keras.Model:
    """Return the team's network over `width` features, with the tower as a part of it or without."""
    features = tf.keras.Input([width], name="features")
    fields = {} if tower is None else _inputs(tower)
    joined = features if tower is None else tf.concat([features, tower(fields)], 1)
    hidden = tf.keras.layers.Dense(64, "gelu")(tf.keras.layers.Dropout(0.2)(joined))
    # Beside the hidden layer a straight path: without it the network would be a weak opponent.
    scores = tf.keras.layers.Dense(KINDS)(hidden) + tf.keras.layers.Dense(KINDS)(joined)
    model = tf.keras.Model({"features": features, **fields}, scores)
    loss = tf.keras.losses.BinaryCrossentropy(from_logits=True)
    model.compile(tf.keras.optimizers.legacy.Adam(4e-3), loss)
    return model


def fit_and_measure(task: NextKinds, features: np.ndarray, tower: SavedTower | None) -> float:
    """Learn from one half of the customers; return the average precision on the other."""
    tf.keras.utils.set_random_seed(1)
    model, parts = build(features.shape[1], tower), []
    for rows in (np.flatnonzero(task.learning), np.flatnonzero(~task.learning)):
        requests, labels = task.part(rows)
        parts.append(({"features": features[rows], **({} if tower is None else requests)}, labels))
    (learnt, labels), (measured, right) = parts
    model.fit(learnt, labels, batch_size=BATCH, epochs=EPOCHS, verbose=0)
    return average_precision(model.predict(measured, batch_size=512, verbose=0), right)


def main(release: Path, data: Path) -> dict[str, float]:
    """Print what the tower adds."""
    config = read_manifest(release).config
    task, tower = load_task(data, config.towers.user.history_length), SavedTower(release)
    found = {}
    for name, features in (("habits", task.habits), ("counts", np.concatenate([task.habits, task.counts], 1))):
        found[name] = fit_and_measure(task, features, None)
        found[f"{name}_and_tower"] = fit_and_measure(task, features, tower)
    words = ", ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in found.items())
    print(f"average precision: {words}")
    return found


def _inputs(tower: SavedTower) -> dict[str, tf.Tensor]:
    return {name: tf.keras.Input(spec.shape[1:], dtype=spec.dtype, name=name) for name, spec in tower.fields.items()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("release", type=Path)
    parser.add_argument("data", type=Path)
    main(**vars(parser.parse_args()))
