"""Answers for when the model cannot give one: what was answered before, and what it answers to a user unknown to it."""

import threading
from collections import OrderedDict

from unified_ranker.core.request import Request
from unified_ranker.serving.answering.opened_release import OpenedRelease
from unified_ranker.serving.answering.recommending import Answered
from unified_ranker.serving.answering.request_rule import RequestRule

ANSWERS_KEPT = 50
"""Items of an answer that are kept."""
_ANSWERS = 20_000

Items = tuple[Answered, ...]


class Fallbacks:
    """Remembers the last full answer to each question that does not depend on the user, and to none at all."""

    def __init__(self) -> None:
        self._answers: OrderedDict[tuple[str, str, str, str], Items] = OrderedDict()
        self._popular: dict[tuple[str, str], Items] = {}
        self._lock = threading.Lock()

    def remember(self, request: Request, items: Items) -> None:
        """Keep a full answer to a question: a query or a source item. Other answers belong to their user alone."""
        if not items or not (request.query or request.source_item_id):
            return
        with self._lock:
            self._answers[_question(request)] = items
            self._answers.move_to_end(_question(request))
            if len(self._answers) > _ANSWERS:
                self._answers.popitem(last=False)

    def remember_popular(self, task: str, country: str, items: Items) -> None:
        """Keep what the model answers to a user that it knows nothing of."""
        with self._lock:
            self._popular[task, country] = items

    def answer(self, request: Request, release: OpenedRelease) -> tuple[str, Items] | None:
        """Return a rung's name and its items, less what may not answer this request; None where nothing is kept."""
        with self._lock:
            tried = (
                ("cached", self._answers.get(_question(request))),
                ("popular", self._popular.get((request.task, request.country))),
                # A country that no item names has the answer of none.
                ("popular", self._popular.get((request.task, ""))),
            )
        rule = RequestRule(release, request)
        for rung, items in tried:
            may = rule.allowed(release.positions(item.item_id for item in items or ()))
            left = tuple(item for item, kept in zip(items or (), may, strict=True) if kept)
            if left:
                return rung, left[: release.limit(request)]
        return None


def _question(request: Request) -> tuple[str, str, str, str]:
    return request.task, request.query.strip().lower(), request.source_item_id, request.country
