"""Third way: a tower trained on for a new task.

    python docs/consume/fine_tune.py releases/latest ../shared/data/retail

The whole user side of the release, with one layer behind it, learns which kinds of article come next. It is compared
with the same network trained from scratch: its weights, and the vectors of items within histories, start at random.
"""

import argparse
from pathlib import Path

import numpy as np
from next_kinds import KINDS, NextKinds, average_precision, load_task

from unified_ranker.export.tower import SavedTower
from unified_ranker.release.manifest import read_manifest
from unified_ranker.towers.tensorflow import tf

EPOCHS, BATCH = 8, 64


def fit_and_measure(task: NextKinds, tower: SavedTower, variables: list[tf.Variable], rate: float) -> float:
    """Train `variables` and a new layer on one half of the customers; return average precision on the other."""
    rng, head = np.random.default_rng(1), tf.keras.layers.Dense(KINDS)
    head.build([None, tower.dim])
    # A fresh layer on unit vectors needs larger steps than weights that know much already.
    slow, fast = (tf.keras.optimizers.legacy.Adam(step) for step in (rate, 2e-2))

    @tf.function(reduce_retracing=True, autograph=False)
    def step(requests: dict[str, tf.Tensor], labels: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            tape.watch(variables)
            scores = head(tower(requests))
            loss = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels, scores))
        gradients = tape.gradient(loss, [*variables, *head.variables])
        slow.apply_gradients(_given(gradients[: len(variables)], variables))
        fast.apply_gradients(_given(gradients[len(variables) :], head.variables))

    learning = np.flatnonzero(task.learning)
    for _ in range(EPOCHS):
        for rows in np.array_split(rng.permutation(learning), len(learning) // BATCH):
            requests, labels = task.part(rows)
            step({name: tf.constant(column) for name, column in requests.items()}, tf.constant(labels))
    rows = np.flatnonzero(~task.learning)
    requests, right = task.part(rows)
    scores = head(tower({name: tf.constant(column) for name, column in requests.items()})).numpy()
    return average_precision(scores, right)


def begin_anew(variables: list[tf.Variable]) -> None:
    """Draw weights as a new network has them: matrices by Glorot, gains 1, the rest 0."""
    tf.keras.utils.set_random_seed(1)
    for variable in variables:
        if "gamma" in variable.name:
            variable.assign(tf.ones_like(variable))
        elif variable.shape.rank == 2:
            variable.assign(tf.keras.initializers.GlorotUniform()(variable.shape))
        else:
            variable.assign(tf.zeros_like(variable))


def main(release: Path, data: Path) -> dict[str, float]:
    """Print what it is worth to begin from the release."""
    config = read_manifest(release).config
    task = load_task(data, config.towers.user.history_length)
    frozen, tuned, scratch = (SavedTower(release, trainable=True) for _ in range(3))
    begin_anew([*scratch.tower_weights, scratch.item_vectors])
    found = {
        "from_nothing": fit_and_measure(task, scratch, [*scratch.tower_weights, scratch.item_vectors], 3e-3),
        "frozen": fit_and_measure(task, frozen, [], 1e-3),
        "fine_tuned": fit_and_measure(task, tuned, tuned.tower_weights, 1e-3),
    }
    words = ", ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in found.items())
    print(f"average precision: {words}")
    return found


def _given(gradients: list[tf.Tensor | None], variables: list[tf.Variable]) -> list[tuple[tf.Tensor, tf.Variable]]:
    return [(g, v) for g, v in zip(gradients, variables, strict=True) if g is not None]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("release", type=Path)
    parser.add_argument("data", type=Path)
    main(**vars(parser.parse_args()))
