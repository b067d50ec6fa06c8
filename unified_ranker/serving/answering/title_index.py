"""Titles of items that were changed since the release, by their words: they are proposed for queries as others are."""

import threading
from collections import Counter, defaultdict

from unified_ranker.prepare.query_words import words

_MOST_WITH_A_WORD = 1000
"""Items that are looked at for one word; a word that more items have tells little."""


class TitleIndex:
    """Words of titles. Safe to use from several threads.

    It is not bound to a state of the catalogue: who asks leaves out items that are gone.
    """

    def __init__(self) -> None:
        self._titles: dict[str, tuple[str, ...]] = {}
        self._items: defaultdict[str, dict[str, None]] = defaultdict(dict)
        self._lock = threading.Lock()

    def put(self, item_id: str, title: str) -> None:
        """Give an item a title in the place of the one that it had; "" for none."""
        own = tuple(dict.fromkeys(words(title)))
        with self._lock:
            for word in self._titles.pop(item_id, ()):
                self._items[word].pop(item_id)
                if not self._items[word]:
                    del self._items[word]
            if own:
                self._titles[item_id] = own
            for word in own:
                self._items[word][item_id] = None

    def matching(self, query: str, most: int) -> list[str]:
        """Return the items whose titles share words with a query, those with the most words first, then short ones."""
        if not self._titles:
            return []
        shared: Counter[str] = Counter()
        with self._lock:
            for word in dict.fromkeys(words(query)):
                if len(found := self._items.get(word, {})) <= _MOST_WITH_A_WORD:
                    shared.update(found.keys())
            order = sorted(shared, key=lambda item: (-shared[item], len(self._titles[item])))
        return order[:most]
