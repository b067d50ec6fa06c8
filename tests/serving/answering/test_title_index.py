"""Titles by their words, against a search through all of them."""

import hypothesis
from hypothesis import strategies as st

from unified_ranker.serving.answering.title_index import TitleIndex

titles = st.lists(st.sampled_from(["red", "Red,", "star", "the", "Ä"]), max_size=4).map(" ".join)


@hypothesis.given(st.lists(st.tuples(st.sampled_from("abc"), titles)), titles, st.integers(0, 3))
def test_items_are_found_by_the_words_of_their_last_title(puts, query, most):
    index, last = TitleIndex(), {}
    for item, title in puts:
        index.put(item, title)
        last[item] = {word.strip(",").lower() for word in title.split()}
    asked = {word.strip(",").lower() for word in query.split()}
    found = index.matching(query, most)
    right = sorted((-len(asked & own), len(own)) for own in last.values() if asked & own)
    assert [(-len(asked & last[item]), len(last[item])) for item in found] == right[:most]


def test_a_word_of_very_many_titles_is_not_looked_at():
    index = TitleIndex()
    for n in range(1001):
        index.put(str(n), f"common rare{n}")
    assert index.matching("common", 5) == []
    assert index.matching("common rare7", 5) == ["7"]
