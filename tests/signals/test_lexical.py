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
