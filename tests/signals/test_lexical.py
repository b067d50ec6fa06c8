"""The lexical signal: BM25 in stock ops, against the library and plain loops."""

import numpy as np
import pytest
from signal_toy import signal_request

from unified_ranker.signals.bm25 import title_scores
from unified_ranker.signals.lexical import LEXICAL_SCALE, Lexical, LexicalSignal
from unified_ranker.towers.tensorflow import tf

TITLES = np.array(
    ["Star Wars", "star trek: first contact", "The Empire Strikes Back", "", "Wars of the Star, star of the wars",
     "Der Große Käse", "दिल्ली की सड़कें", "contact"],
    object,
)  # fmt: skip
KNOWN = np.array([True] * 7 + [False])
QUERIES = ["star wars", "STAR star", "große käse!", "दिल्ली", "nothing of this", "", "first contact"]
EVERYTHING = np.tile(np.arange(len(TITLES)), (len(QUERIES), 1))


def plain(text):
    return "".join(c if c.isalnum() or c in "़्ीिे" else " " for c in text.lower()).split()


@pytest.fixture(scope="module")
def signal():
    return LexicalSignal(Lexical(type="lexical", candidates=4), TITLES, KNOWN)


def request(signal, queries=QUERIES):
    words = signal.read_text(tf.constant(queries))
    return signal_request(len(queries), words=words)


def expected_scores():
    scores, numbers = title_scores([plain(t) for t in TITLES], KNOWN)
    asked = [[numbers[w] for w in dict.fromkeys(plain(q)) if w in numbers] for q in QUERIES]
    return np.array([scores[words].sum(0) if words else np.zeros(len(TITLES)) for words in asked])


def test_the_score_is_that_of_the_library(signal):
    found = signal.features(request(signal), tf.constant(EVERYTHING), None).numpy()
    expected = expected_scores()
    assert (expected > 0).sum() >= 8
    np.testing.assert_allclose(found[..., 0], LEXICAL_SCALE * expected, atol=1e-5)


def test_shares_say_how_much_of_each_is_in_the_other(signal):
    found = signal.features(request(signal), tf.constant(EVERYTHING), None).numpy()
    np.testing.assert_allclose(found[0, 0, 1:], [1, 1], atol=1e-5)
    np.testing.assert_allclose(found[6, 7, 1:2], [0.5], atol=0.2)
    np.testing.assert_allclose(found[6, 7, 2], 1, atol=1e-5)
    assert found[6, 1, 1] == pytest.approx(1)
    assert 0 < found[6, 1, 2] < 1
    assert (found[5] == 0).all()
    assert (found[4, [0, 1, 3]] == 0).all()


def test_a_title_that_came_since_has_the_features_of_a_released_one(signal):
    asked = request(signal)
    row, item = np.divmod(np.arange(len(QUERIES) * len(TITLES)), len(TITLES))
    found = signal.title_features(asked, tf.constant(row), tf.constant(TITLES[item])).numpy()
    right = signal.features(asked, tf.constant(EVERYTHING), None).numpy()[row, item]
    np.testing.assert_allclose(found, right, atol=1e-5)


def test_words_that_no_released_title_has_are_found_in_a_new_one(signal):
    queries = ["violet zeppelin", "violet star", "violet"]
    asked = request(signal, queries)
    titles = tf.constant(["Violet Zeppelin", "Zeppelin star", "Star Wars"] * 3)
    row = tf.constant(np.repeat(np.arange(3), 3))
    bm25, of_query, of_title = signal.title_features(asked, row, titles).numpy().reshape(3, 3, 3).transpose(2, 0, 1)
    np.testing.assert_allclose([of_query[0, 0], of_title[0, 0]], [1, 1], atol=1e-6)
    assert bm25[0, 0] > bm25[0, 1] > bm25[0, 2] == 0
    assert (bm25[2, 0] > 0, bm25[2, 1], bm25[2, 2]) == (True, 0, 0)
    assert 0 < of_title[1, 0] < 1
    released = signal.features(asked, tf.constant(EVERYTHING[:3]), None).numpy()
    assert released[1, 0, 1] == 1, "of the words that released titles have"


def test_an_unknown_item_has_no_title(signal):
    found = signal.features(request(signal), tf.constant(EVERYTHING * 0 - 1), None).numpy()
    assert (found == 0).all()


def test_proposals_are_the_best_titles(signal):
    proposed = signal.proposals(request(signal)).numpy()
    for row, scores in zip(proposed, expected_scores(), strict=True):
        best = scores[row[row >= 0]]
        np.testing.assert_allclose(best, np.sort(scores[scores > 0])[::-1][:4], rtol=1e-5)


def test_postings_bound_what_a_word_finds():
    signal = LexicalSignal(Lexical(type="lexical", candidates=4, postings=1), TITLES, KNOWN)
    proposed = signal.proposals(request(signal, ["star"])).numpy()
    scores, numbers = title_scores([plain(t) for t in TITLES], KNOWN)
    assert proposed[0].tolist() == [int(np.argmax(scores[[numbers["star"]]].toarray())), -1, -1, -1]


@pytest.mark.parametrize("titles", [[""], ["", ""]])
def test_a_catalogue_without_titles(titles):
    signal = LexicalSignal(Lexical(type="lexical", candidates=2), np.array(titles, object), np.ones(len(titles), bool))
    asked = request(signal, ["star wars"])
    assert (signal.proposals(asked).numpy() == -1).all()
    assert (signal.features(asked, tf.zeros([1, 2], tf.int64), None).numpy() == 0).all()
