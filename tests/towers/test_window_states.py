"""Windows of like length together: the same states as all at once."""

import numpy as np
import pytest

from unified_ranker.config import UserTower
from unified_ranker.prepare.vocabulary import Vocabulary
from unified_ranker.towers.category_table import CategoryTable
from unified_ranker.towers.history import HistoryEvents, HistoryWindows
from unified_ranker.towers.tensorflow import tf
from unified_ranker.towers.user import UserEncoder
from unified_ranker.towers.window_states import WIDTHS, states_at

DIM = 8
VOCABULARY = Vocabulary(
    tasks=["feed"], event_types=["click"], categories=["country=GB"], item_numbers={}, user_numbers={}, id_mask_rate=0.0
)


def batch(lengths, width):
    rng = np.random.default_rng(4)
    shape = (len(lengths), width)
    events = {
        "item": rng.normal(size=(*shape, DIM)).astype(np.float32),
        "event_type": rng.integers(1, 2, shape),
        "task": rng.integers(0, 2, shape),
        "gap": rng.integers(0, 10**6, shape),
        "value": rng.choice([0, 3, 5], shape).astype(np.float32),
    }
    # Each window has an example at its end, and some have others before.
    row = np.concatenate([np.arange(len(lengths)), np.flatnonzero(np.array(lengths) > 2)])
    position = np.concatenate([lengths, np.array(lengths)[row[len(lengths) :]] // 2])
    order = rng.permutation(len(row))
    return {k: tf.constant(v) for k, v in events.items()}, row[order], position[order]


@pytest.mark.parametrize("kind", ["transformer", "hstu"])
@pytest.mark.parametrize(
    ("lengths", "longest"),
    [
        ([3, 40, 16, 64, 0, 17, 48, 49, 1], 64),
        ([2, 5, 1], 64),
        ([60, 50], 64),
        ([0], 64),
        ([3, 40, 16, 0, 17, 48], 48),
        ([3, 16, 0], 16),
        ([3, 8, 0], 8),
    ],
    ids=["all", "short", "long", "nothing", "two groups", "one group", "one group, shorter"],
)
def test_the_states_are_those_of_all_windows_at_once(kind, lengths, longest):
    tf.keras.utils.set_random_seed(2)
    config = UserTower(
        encoder={"type": kind, "dropout": 0.0},
        history_length=longest,
        profile=[{"type": "category", "column": "country"}],
    )
    tower = UserEncoder(config, VOCABULARY, DIM, CategoryTable(VOCABULARY.categories, DIM))
    events, row, position = batch(lengths, max(max(lengths), 1))
    profile = tower.encode_profile({"country": tf.constant(["GB", ""] * len(lengths))[: len(lengths)]})
    rest = {name: column for name, column in events.items() if name != "item"}
    # As in training: histories hold numbers of items, whose vectors are taken when a group is encoded.
    vectors = tf.reshape(events["item"], [-1, DIM])
    numbers = tf.reshape(tf.range(tf.size(rest["gap"])), rest["gap"].shape)
    windows = HistoryWindows(tf.range(len(lengths)), HistoryEvents(item=numbers, **rest))
    whole = tower(events["item"], windows.events, profile).numpy()
    widths = []

    def encode(part):
        widths.append(part.events.item.shape[1])
        return tower(tf.gather(vectors, part.events.item), part.events, profile.at(part.user))

    found = states_at(encode, windows, tf.constant(row), tf.constant(position), longest)
    np.testing.assert_allclose(found.numpy(), whole[row, position], atol=1e-5)
    assert widths == [min(most, numbers.shape[1]) for most in (*(w for w in WIDTHS if w < longest), longest)]
