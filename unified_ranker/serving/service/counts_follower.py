"""Counts follower: gives the events of the store's log to the live popularities of a service's releases."""

import logging
from collections.abc import Sequence

import numpy as np

from unified_ranker.config import Config
from unified_ranker.core.arrays import MISSING, Mask
from unified_ranker.core.event import Event
from unified_ranker.core.positives import first_engagements, first_match, head_numbers
from unified_ranker.core.request import NO_HISTORY
from unified_ranker.events.base import DamagedStoreError, HistoryReader, HistoryStore, StoreError
from unified_ranker.serving.answering.live_popularity import LivePopularity
from unified_ranker.serving.service.ranking_service import RankingService
from unified_ranker.serving.service.repeating import Repeating
from unified_ranker.serving.service.served_release import ServedRelease

_AT_ONCE = 1_000
_SECONDS = 1.0

logger = logging.getLogger(__name__)


class CountsFollower(Repeating):
    """Thread that follows the store's log each second, so that all replicas, and a restarted one, count the same.

    Its first looks read the log from its first event on, while requests are answered.

    Args:
        service: whose releases count.
        store: of the events; None: counts are those of the releases, as of now.
    """

    def __init__(self, service: RankingService, store: HistoryStore | None) -> None:
        super().__init__("counts-follower", _SECONDS, service.metrics)
        self._service, self._store = service, store

    def look(self) -> None:
        """Count what has come to the store, and move the counts on to the present second."""
        for engine in list(self._service.engines.values()):
            self.follow(engine)
        # A canary may have ended meanwhile.
        self._service.metrics.keep_labels(self._service.engines)

    def follow(self, engine: ServedRelease) -> None:
        """Do so for one release."""
        popularity, metrics = engine.release.popularity, self._service.metrics
        if not isinstance(popularity, LivePopularity):
            return
        try:
            while self._store is not None and not self._end.is_set():
                # Positions are kept beside the counts that they belong to: a new release begins from its own log.
                found = self._store.since(engine.counted_until, _AT_ONCE)
                if not found:
                    break
                events = [event for _, event in found if event.timestamp > popularity.stored.description.end]
                taken = count(popularity, engine.release.config, events, self._store)
                engine.counted_until = found[-1][0]
                metrics.counted_events.labels(engine.label).inc(taken)
                popularity.advance(int(engine.release.clock()))
                behind = max(engine.release.clock() - found[-1][1].timestamp, 0.0) if len(found) == _AT_ONCE else 0.0
                metrics.counts_behind.labels(engine.label).set(behind)
        except StoreError as error:
            metrics.error("counts", "store")
            logger.warning("popularity is not counted on: %s", error)
        popularity.advance(int(engine.release.clock()))


def count(popularity: LivePopularity, config: Config, events: Sequence[Event], histories: HistoryReader) -> int:
    """Add the events of later than a release's log to its counts; returns how many of them count."""
    if not events:
        return 0
    item_ids = np.array([event.item_id for event in events], object)
    times = np.array([event.timestamp for event in events], np.int64)
    counted = np.stack([_counted(config, event, histories) for event in events], 1)
    return popularity.add(item_ids, times, counted)


def _counted(config: Config, event: Event, histories: HistoryReader) -> Mask:
    """Return which popularities count an event, `[popularities]`."""
    features = config.towers.item.popularities.values()
    by_type = [f.event_types is not None and event.event_type in f.event_types for f in features]
    of_positives = np.array([f.event_types is None for f in features])
    if of_positives.any() and is_positive(config, event, histories):
        return of_positives | by_type
    return np.array(by_type)


def is_positive(config: Config, event: Event, histories: HistoryReader) -> bool:
    """Tell whether an event counts as engagement, as `prepare` would say of it in a log (`mark_positives`)."""
    task = config.tasks.get(event.task)
    if task is None:
        return False
    value = np.nan if event.value is None else event.value
    own = first_match(np.array([event.event_type], object), np.array([value]), task.positives)
    if own[0] == MISSING:
        return False
    if not task.first_engagement_only or not event.user_id:
        return True
    try:
        past = histories.before(event.user_id, event.timestamp)
    except DamagedStoreError as error:
        # One user's damaged history may not stop the counts of all; the event counts as a first engagement.
        logger.warning("an event is counted without its user's history: %s", error)
        past = NO_HISTORY
    kind = first_match(past.event_type, past.value, task.positives)
    engaged = (past.task == event.task) & (kind != MISSING)
    items = np.append(past.item_id[engaged], event.item_id)
    head = head_numbers(task.positives)[np.append(kind[engaged], own)]
    return bool(first_engagements(np.zeros(len(items), np.int64), items, head)[-1])
