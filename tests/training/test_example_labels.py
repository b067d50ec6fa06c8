"""Labels: what a user chooses next, within the slice and the task."""

from dataclasses import replace

import numpy as np
import tiny_world
from hypothesis import given, settings
from hypothesis import strategies as st

from unified_ranker.core.arrays import MISSING
from unified_ranker.prepare.examples import Examples
from unified_ranker.training.example_labels import labels_of, next_targets


def examples_of(rows, times=None):
    """Examples of users (None = anonymous) with a task each, item by item, one a second if `times` are not given."""
    count = len(rows)
    absent = np.full(count, MISSING)
    return Examples(
        user=np.array([MISSING if user is None else user for user, _ in rows], np.int64),
        task=np.array([task for _, task in rows], object),
        item=np.arange(10, 10 + count),
        source_item=absent,
        query_item=absent,
        query=np.array([""] * count, object),
        country=np.array([""] * count, object),
        timestamp=np.arange(count) if times is None else np.array(times, np.int64),
        head=np.array(["like", "click"] * count, object)[:count],
        weight=np.linspace(1, 2, count).astype(np.float32),
        history_length=np.zeros(count, np.int64),
        value=np.full(count, np.nan, np.float32),
        retrieved=np.ones(count, bool),
    )


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.one_of(st.none(), st.integers(0, 2)), st.sampled_from(["feed", "search"])), max_size=20),
    st.integers(1, 5),
    st.floats(0.5, 5),
)
def test_next_targets_are_the_users_next_examples_of_the_task(rows, k, decay):
    examples = examples_of(rows)
    items, weights = next_targets(examples, k, decay)
    assert items.shape == weights.shape == (len(examples), k)
    assert weights.dtype == np.float32
    for row in range(len(examples)):
        following = [
            int(examples.item[other])
            for other in range(row, len(examples))
            if other == row
            or (
                examples.user[row] != MISSING
                and examples.user[other] == examples.user[row]
                and examples.task[other] == examples.task[row]
            )
        ][:k]
        absent = k - len(following)
        assert items[row].tolist() == following + [MISSING] * absent
        ranks = np.exp(-np.arange(len(following)) / decay)
        np.testing.assert_allclose(weights[row], [*ranks, *[0.0] * absent], rtol=1e-6)


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.one_of(st.none(), st.integers(0, 1)), st.integers(0, 3), st.booleans()), max_size=16),
    st.integers(1, 6),
    st.randoms(),
)
def test_simultaneous_examples_are_next_alike_or_not_at_all(rows, k, random):
    rows = sorted(rows, key=lambda row: row[1])
    examples = examples_of([(user, "feed") for user, _, _ in rows], [time for _, time, _ in rows])
    examples = replace(examples, retrieved=np.array([kept for _, _, kept in rows], bool))
    items, weights = next_targets(examples, k, 1.0)

    def by_hand(row):
        user, time, kept = rows[row]
        found, rank = {10 + row: 1.0}, 0
        for moment in range(time + 1, 4):
            then = [10 + at for at, (who, when, other) in enumerate(rows) if (who, when, other) == (user, moment, True)]
            if user is None or not kept or rank + len(then) >= k:
                break
            found |= {item: np.exp(-(rank + 1)) for item in then}
            rank += len(then)
        return found

    def as_sets(items, weights):
        return [
            {int(i): round(float(w), 6) for i, w in zip(*pair, strict=True) if i != MISSING}
            for pair in zip(items, weights, strict=True)
        ]

    expected = [{item: round(float(w), 6) for item, w in by_hand(row).items()} for row in range(len(rows))]
    assert as_sets(items, weights) == expected
    order = sorted(range(len(rows)), key=lambda row: (rows[row][1], random.random()))
    shuffled = as_sets(*next_targets(examples.take(np.array(order, np.int64)), k, 1.0))
    assert shuffled == [expected[row] for row in order]


def test_next_targets_of_no_examples():
    items, weights = next_targets(examples_of([]), 3, 1.0)
    assert items.shape == weights.shape == (0, 3)


def test_next_targets_do_not_answer_a_query_or_a_source_item_with_what_the_user_chose_for_another():
    examples = replace(
        examples_of([(0, "search")] * 4),
        source_item=np.array([MISSING, MISSING, 3, MISSING]),
        query=np.array(["", "tea", "", ""], object),
    )
    items, weights = next_targets(examples, 2, 1.0)
    assert items.tolist() == [[10, 11], [11, MISSING], [12, MISSING], [13, MISSING]]
    assert ((weights > 0) == (items != MISSING)).all()


def test_labels_name_the_positive_its_head_and_its_weight():
    examples, config = examples_of([(0, "feed"), (1, "feed"), (0, "feed")]), tiny_world.config()
    labels = labels_of(examples, config)
    assert labels.item.tolist() == [10, 11, 12]
    assert [config.heads[number] for number in labels.head] == ["like", "click", "like"]
    np.testing.assert_array_equal(labels.weight, examples.weight)
    assert labels_of(replace(examples, retrieved=np.array([True, False, True])), config).retrieved.tolist() == [1, 0, 1]
    targets, decay = next_targets(examples, 2, 2.0)
    np.testing.assert_array_equal(labels.targets, targets)
    np.testing.assert_array_equal(labels.decay, decay)
