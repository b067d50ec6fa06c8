"""Signal `affinity`: shares of categories in a history, and proposals of its items, against counting by hand."""

import numpy as np
import pandas as pd
import pytest
from signal_toy import signal_request

from unified_ranker.core.times import NEVER
from unified_ranker.signals.affinity import Affinity, AffinitySignal, values_of
from unified_ranker.towers.tensorflow import tf

UNKNOWN = -1
ITEMS = pd.DataFrame(
    {
        "author": ["ann", "ann", "bob", "bob", "cat", None, "ann", "bob"],
        "tags": [["red", "big"], ["red"], ["big"], [], None, ["red", "red"], ["lone"], ["big"]],
        "created": [10, 20, 30, 40, 50, 60, NEVER, 70],
    }
)
CHOSEN = np.array([0, 5, 1, 2, 9, 3, 0, 7])
COLUMNS = ("author", "tags")


def built(items=ITEMS, **settings):
    declared = Affinity(**{"type": "affinity", "columns": COLUMNS, **settings})
    return AffinitySignal(declared, *values_of(items, declared.columns), CHOSEN, items["created"].to_numpy(np.int64))


def ask(recent, source=UNKNOWN, time=100):
    return signal_request(
        1, source_item=[source], recent=[recent], recent_time=[[*range(len(recent), 0, -1)]], timestamp=[time]
    )


def features(signal, request):
    found = signal.features(request, tf.constant([[*range(len(ITEMS)), UNKNOWN]], tf.int64), None).numpy()[0]
    return dict(zip(signal.channels, found.T, strict=True))


def by_hand(column, history):
    """Sum over an item's values of the share of the history with it, times the rarity of the value."""
    cells = [set(v) if isinstance(v, list) else set() if v is None or pd.isna(v) else {v} for v in ITEMS[column]]
    out = []
    for own in cells:
        having = {value: sum(value in cell for cell in cells) for value in own}
        share = {value: np.mean([value in cells[item] for item in history]) for value in own}
        out.append(sum(share[v] * np.log1p(len(cells) / having[v]) for v in own if having[v] > 1))
    return [*out, 0.0]


@pytest.mark.parametrize("history", [[0], [0, 1, 2], [2, 2, 0, 7], [4, 5, 6]])
@pytest.mark.parametrize("column", COLUMNS)
def test_a_category_counts_by_its_share_of_the_history_and_its_rarity(column, history):
    found = features(built(), ask(history))
    np.testing.assert_allclose(found[f"{column}: history"], by_hand(column, history), rtol=1e-5)
    assert not found[f"{column}: source item"].any()


@pytest.mark.parametrize("column", COLUMNS)
def test_the_source_item_has_a_channel_of_its_own(column):
    found = features(built(), ask([2], source=0))
    np.testing.assert_allclose(found[f"{column}: source item"], by_hand(column, [0]), rtol=1e-5)
    np.testing.assert_allclose(found[f"{column}: history"], by_hand(column, [2]), rtol=1e-5)


def test_columns_that_share_a_name_do_not_share_a_value():
    items = ITEMS.assign(author=["red"] * 8)
    assert not features(built(items), ask([2]))["tags: history"][1]
    values, widths = values_of(items, COLUMNS)
    assert widths == [1, 2]
    assert not set(values[:, 0]) & set(values[:, 1:].reshape(-1).tolist())


def test_a_value_of_one_item_alone_says_nothing():
    values, _ = values_of(ITEMS, COLUMNS)
    assert values[4].tolist() == [-1, -1, -1], "cat has one item"
    assert values[6].tolist()[1:] == [-1, -1], "lone has one item"


def test_missing_columns_and_plain_numbers_are_read_as_they_are():
    values, widths = values_of(
        pd.DataFrame({"floor": [3, 4, 3], "open": [True, True, False]}), ("floor", "open", "none")
    )
    assert widths == [1, 1, 1]
    assert values.tolist() == [[0, 1, -1], [-1, 1, -1], [0, -1, -1]]


def test_older_events_than_the_window_are_not_read():
    one, other = (features(built(window=1), ask(recent)) for recent in ([0, 2], [0]))
    assert all((one[name] == other[name]).all() for name in one)


def proposed(signal, request):
    return [item for item in signal.proposals(request).numpy()[0].tolist() if item >= 0]


def test_the_most_chosen_and_the_newest_of_the_categories_are_proposed():
    """bob has the items 2, 3 and 7; 7 is chosen most, 3 next, and 7 is the newest."""
    signal = built(columns=("author",), candidates=10)
    assert proposed(signal, ask([2])) == [7, 7]
    assert proposed(built(columns=("author",), candidates=20), ask([2])) == [7, 7, 3, 3]
    assert signal.proposals(ask([2])).shape == (1, 10)


def test_what_is_created_later_is_not_the_newest():
    signal = built(columns=("author",), candidates=10)
    assert proposed(signal, ask([2], time=70)) == [7, 3]
    assert proposed(signal, ask([2], time=31)) == [7, 2]
    assert proposed(signal, ask([2], time=30)) == [7]


def test_an_undated_item_is_never_the_newest():
    assert proposed(built(columns=("author",), candidates=40), ask([0])) == [1, 1, 0, 0, 6]


def test_of_several_categories_the_one_that_counts_most_comes_first():
    signal = built(columns=("author",), candidates=10)
    assert proposed(signal, ask([0, 1, 2]))[0] == 1
    assert proposed(signal, ask([0, 2, 3]))[0] == 7
    assert proposed(signal, ask([0, 2], source=2))[0] == 7
    assert proposed(signal, ask([0, 2], source=0))[0] == 1
