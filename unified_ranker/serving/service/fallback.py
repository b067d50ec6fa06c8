"""Fallback answers for failures of the model: earlier answers, and the answer to an unknown user."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from unified_ranker.core.request import Request
from unified_ranker.serving.answering.opened_release import OpenedRelease
from unified_ranker.serving.answering.recommending import Answered
from unified_ranker.serving.answering.request_rule import RequestRule

ANSWERS_KEPT = 50
"""Number of items of an answer that are stored."""
_ANSWERS = 20_000

AnsweredItems = tuple[Answered, ...]


class Fallbacks:
    """Store of the last full answers by query or source item, and of the answers to unknown users.

    Args:
        most: answers by query or source item.
        evicted: is called when one of them makes room for another.
    """

    def __init__(self, most: int = _ANSWERS, evicted: Callable[[], object] = lambda: None) -> None:
        self._most, self._evicted = most, evicted
        self._answers: OrderedDict[tuple[str, str, str, str], AnsweredItems] = OrderedDict()
        self._popular: dict[tuple[str, str], AnsweredItems] = {}
        self._lock = threading.Lock()

    def remember(self, request: Request, items: AnsweredItems) -> None:
        """Store a full answer by its query or source item; answers without either depend on the user."""
        if not items or not (request.query or request.source_item_id):
            return
        with self._lock:
            self._answers[_question(request)] = items
            self._answers.move_to_end(_question(request))
            if len(self._answers) > self._most:
                self._answers.popitem(last=False)
                self._evicted()

    def remember_popular(self, task: str, country: str, items: AnsweredItems) -> None:
        """Store the model's answer to an unknown user."""
        with self._lock:
            self._popular[task, country] = items

    def answer(self, request: Request, release: OpenedRelease) -> tuple[str, AnsweredItems] | None:
        """Return a rung's name and its items that may answer this request; None where nothing is stored."""
        with self._lock:
            tried = (
                ("cached", self._answers.get(_question(request))),
                ("popular", self._popular.get((request.task, request.country))),
                # A country that no item names has the same answer as an unknown country.
                ("popular", self._popular.get((request.task, ""))),
            )
        rule = RequestRule(release, request)
        for rung, items in tried:
            left = _as_now(release, rule, items or ())
            if left:
                return rung, left[: release.limit(request)]
        return None


def _as_now(release: OpenedRelease, rule: RequestRule, items: AnsweredItems) -> AnsweredItems:
    """Return those items that may answer now, with the titles that they have now."""
    positions = release.positions(item.item_id for item in items)
    may = np.flatnonzero(rule.allowed(positions))
    titles = release.titles_at(positions[may])
    return tuple(replace(items[row], title=str(title)) for row, title in zip(may, titles, strict=True))


def _question(request: Request) -> tuple[str, str, str, str]:
    return request.task, request.query.strip().lower(), request.source_item_id, request.country
