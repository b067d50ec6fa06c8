"""Signal `like_queries`: what was chosen for the nearest queries, against cosines by hand."""

from collections import Counter

import numpy as np
import pytest
from signal_toy import signal_request

from unified_ranker.signals.like_queries import LikeQueries, LikeQueriesSignal
from unified_ranker.towers.tensorflow import tf

ITEMS = 9
LOG = [
    ("red lamp", 0), ("red lamp", 0), ("red lamp", 1), ("lamps in red", 2), ("blue lamp", 3), ("blue lamp", 3),
    ("a table", 4), ("tables and chairs", 5), ("vase", 6), ("vase", 6), ("Vase!", 7),
]  # fmt: skip


def built(log=LOG, **settings):
    declared = LikeQueries(type="like_queries", **settings)
    queries = np.array([query for query, _ in log], object)
    return LikeQueriesSignal(declared, queries, np.array([item for _, item in log], np.int64), ITEMS)


def asked(signal, *queries):
    return signal_request(len(queries), words=signal.read_text(tf.constant(queries)))


def features(signal, *queries):
    candidates = tf.constant([[*range(ITEMS), -1]] * len(queries), tf.int64)
    found = signal.features(asked(signal, *queries), candidates, None).numpy()
    assert not found[:, -1].any()
    return found[:, :-1]


def parts_of(query):
    words = "".join(c if c.isalnum() else " " for c in query.lower()).split()
    padded = f"^{'^'.join(words)}^" if words else ""
    return Counter([*words, *(padded[n : n + 4] for n in range(len(padded) - 3))])


def by_hand(query, nearest=20):
    """Cosines by tf-idf of words and n-grams, by the highest; choices by the root of all choices for a query."""
    texts = sorted({text for text, _ in LOG})
    having = Counter(part for text in texts for part in set(parts_of(text)))
    vectors = {t: {p: n * np.log1p(len(texts) / having[p]) for p, n in parts_of(t).items()} for t in texts}
    own = {p: n * np.log1p(len(texts) / having[p]) for p, n in parts_of(query).items() if p in having}
    like = {
        t: sum(own.get(p, 0) * w for p, w in v.items()) / np.linalg.norm(list(v.values())) for t, v in vectors.items()
    }
    best = sorted((t for t in texts if like[t] > 0), key=lambda t: -like[t])[:nearest]
    found = np.zeros((ITEMS, 2))
    for text in best:
        chosen = Counter(item for other, item in LOG if other == text)
        share, near = 1 / np.sqrt(1 + sum(chosen.values())), like[text] / like[best[0]]
        for item, count in chosen.items():
            found[item] += count * share * near, count * share * near**3
    return found


@pytest.mark.parametrize("query", ["red lamp", "lamp", "red lamps", "table", "tabel with chair", "vases", "vase lamp"])
@pytest.mark.parametrize("nearest", [1, 2, 20])
def test_choices_count_by_how_near_their_query_is(query, nearest):
    (found,) = features(built(nearest=nearest), query)
    np.testing.assert_allclose(found, by_hand(query, nearest), rtol=1e-4, atol=1e-6)
    assert found.any()


def test_a_query_that_nobody_typed_finds_what_was_chosen_for_one_spelled_like_it():
    (found,) = features(built(), "chair")
    assert found[:, 0].argmax() == 5


@pytest.mark.parametrize("query", ["", "!?", "xyz"])
def test_words_that_nobody_used_say_nothing(query):
    signal = built()
    assert not features(signal, query).any()
    assert (signal.proposals(asked(signal, query)).numpy() == -1).all()


def test_what_counts_most_is_proposed_first():
    signal = built(candidates=3)
    (found,) = features(signal, "red lamp")
    assert signal.proposals(asked(signal, "red lamp")).numpy().tolist() == [np.argsort(-found[:, 0])[:3].tolist()]


def test_the_queries_asked_most_are_kept():
    few, most = built(queries=3), ("red lamp", "vase", "blue lamp")
    np.testing.assert_allclose(
        features(few, "lamp vase"), features(built([row for row in LOG if row[0] in most]), "lamp vase"), rtol=1e-5
    )


def test_a_word_keeps_the_queries_of_which_it_is_the_largest_part():
    """`vase` is the whole of one query and a part of another."""
    log = [("vase", 6), ("vase of glass and wood", 7)]
    assert features(built(log), "vase")[0][[6, 7]].all()
    assert features(built(log, postings=1), "vase")[0][:, 0].nonzero()[0].tolist() == [6]


def test_a_log_without_queries_is_no_error():
    signal = built([])
    assert not features(signal, "red lamp").any()
    assert (signal.proposals(asked(signal, "red lamp")).numpy() == -1).all()
