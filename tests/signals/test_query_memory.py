"""Signal `query_memory`: what was chosen for the same query and for its words, against counting by hand."""

import numpy as np
import pytest
import tiny_world
from signal_toy import signal_request

from unified_ranker.signals.base import SIGNALS, SignalInputs
from unified_ranker.signals.query_memory import QueryMemory, QueryMemorySignal
from unified_ranker.towers.tensorflow import tf

ITEMS = 8
LOG = [
    ("red lamp", 0), ("red lamp", 0), ("Red  lamp!", 1), ("lamp red", 2), ("lamp", 3), ("red chair", 4),
    ("lamp lamp", 5), ("vase", 6), ("vase", 6),
]  # fmt: skip


def signal(log=LOG, items=ITEMS, **settings):
    declared = QueryMemory(type="query_memory", **settings)
    return QueryMemorySignal(
        declared, np.array([query for query, _ in log], object), np.array([item for _, item in log], np.int64), items
    )


def features(built, *queries):
    words = built.read_text(tf.constant(queries))
    asked = signal_request(len(queries), words=words)
    candidates = tf.constant([[*range(ITEMS), -1]] * len(queries), tf.int64)
    found = built.features(asked, candidates, None).numpy()
    assert not found[:, -1].any()
    return found[:, :-1], built.proposals(asked).numpy()


def words_of(query):
    return "".join(c if c.isalnum() else " " for c in query.lower()).split()


def by_hand(query, log=LOG):
    """Choices for the same words in the same order; shares by word, by the logarithm of how few items it led to."""
    asked = words_of(query)
    same, shares = np.zeros(ITEMS), np.zeros(ITEMS)
    for text, item in log:
        same[item] += bool(asked) and words_of(text) == asked
    for word in set(asked):
        chosen = np.zeros(ITEMS)
        for text, item in log:
            chosen[item] += word in words_of(text)
        if chosen.any():
            shares += chosen / (chosen.sum() + 3) * np.log1p(ITEMS / np.count_nonzero(chosen))
    return np.stack([np.log1p(same), shares], -1)


QUERIES = (
    "red lamp",
    "RED lamp",
    "lamp red",
    "lamp",
    "lamp lamp",
    "red vase",
    "vase",
    "unheard",
    "",
    "red unheard lamp",
)


@pytest.mark.parametrize("query", QUERIES)
def test_counts_of_the_query_and_shares_of_its_words(query):
    found, _ = features(signal(), query)
    np.testing.assert_allclose(found[0], by_hand(query), atol=1e-5)


def test_queries_are_the_same_whatever_their_case_and_marks_and_not_in_another_order():
    found, _ = features(signal(), "red lamp", "RED, LAMP", "lamp red")
    np.testing.assert_array_equal(found[0], found[1])
    assert found[0, :, 0].nonzero()[0].tolist() == [0, 1]
    assert found[2, :, 0].nonzero()[0].tolist() == [2]
    np.testing.assert_allclose(found[0, :, 1], found[2, :, 1], atol=1e-6)


def test_a_query_of_one_word_is_not_the_word():
    """`lamp` alone led to 3 once; the word led to five items."""
    found, _ = features(signal(), "lamp")
    assert found[0, :, 0].nonzero()[0].tolist() == [3]
    assert found[0, :, 1].nonzero()[0].tolist() == [0, 1, 2, 3, 5]


def test_a_word_that_leads_to_few_items_tells_more():
    found, _ = features(signal([*LOG, ("rare", 7)]), "rare lamp")
    assert found[0, :, 1].argmax() == 7


def test_what_the_query_led_to_is_proposed_before_what_its_words_led_to():
    _, proposed = features(signal(candidates=6), "red lamp", "vase", "unheard")
    assert proposed[0, :2].tolist() == [0, 1]
    assert set(proposed[0, 2:]) == {2, 3, 4, 5}
    assert proposed[1].tolist() == [6, -1, -1, -1, -1, -1]
    assert (proposed[2] == -1).all()
    _, few = features(signal(candidates=1), "red lamp")
    assert few.tolist() == [[0]]


def test_the_items_that_are_kept_are_those_chosen_most():
    found, _ = features(signal(neighbours=1), "red lamp")
    assert found[0, :, 0].nonzero()[0].tolist() == [0]
    assert found[0, :, 0].max() == pytest.approx(np.log1p(2))


def test_words_beyond_those_that_are_read_are_not_known():
    found, _ = features(signal(max_words=1), "red", "red lamp")
    np.testing.assert_array_equal(found[0], found[1])


def test_a_memory_of_nothing_says_nothing():
    found, proposed = features(signal([]), "red lamp", "")
    assert not found.any()
    assert (proposed == -1).all()


def test_it_remembers_the_fit_window_alone():
    """Queries of the world name their items; one that is first asked after the end is not known."""
    world, rows = tiny_world.prepared(), tiny_world.prepared().examples
    of_search = np.flatnonzero(rows.task == "search")
    end = int(rows.timestamp[of_search[3]])
    built = (
        SIGNALS["query_memory"]
        .model_validate({"type": "query_memory"})
        .build(SignalInputs(world, end, tuple(tiny_world.TASKS)))
    )
    early, late = {rows.query[n] for n in of_search[:3]}, {rows.query[n] for n in of_search[3:]}
    words = built.read_text(tf.constant(sorted(early | late))).numpy()
    known = {query for query, own in zip(sorted(early | late), words, strict=True) if own[0] >= 0}
    assert known == early
