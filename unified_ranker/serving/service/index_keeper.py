"""Watches the index while it serves: recall against exact search, changes that wait; and has it built again."""

import logging
import threading
from dataclasses import dataclass

from unified_ranker.serving.retrieval.health import recall_of
from unified_ranker.serving.retrieval.overlay import without
from unified_ranker.serving.retrieval.rebuilding import RebuildError, rebuild
from unified_ranker.serving.service.ranking_service import RankingService
from unified_ranker.serving.service.served_release import ServedRelease, parts_of

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class IndexHealth:
    """Limits of a healthy index.

    Attributes:
        seconds: between two looks.
        least_recall: recall@100 below which it is built again.
        most_live: changes beside it, as a share of its items, above which it is built again; at least 1,000.
    """

    seconds: float = 60.0
    least_recall: float = 0.9
    most_live: float = 0.02


class IndexKeeper:
    """A thread that looks after the indices of a service's engines.

    Args:
        service: whose.
        health: when they are well.
    """

    def __init__(self, service: RankingService, health: IndexHealth | None = None) -> None:
        self._service = service
        self._health = health or IndexHealth()
        self._end = threading.Event()
        self._tried: dict[tuple[int, int], float] = {}
        self._thread = threading.Thread(target=self._run, name="index-keeper", daemon=True)

    def start(self) -> "IndexKeeper":
        """Start the thread."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """End the thread; a rebuild that runs is left to its own end."""
        self._end.set()

    def look(self) -> None:
        """Measure every index once, and build again those that are not well."""
        for engine in list(self._service.engines.values()):
            parts, label, metrics = engine.parts, engine.label, self._service.metrics
            recall = recall_of(parts.index, parts.release.vectors, list(engine.queries)[-16:])
            live = len(parts.release.live.changes) if parts.release.live is not None else 0
            metrics.index_items.labels(label).set(parts.release.count)
            metrics.live_items.labels(label).set(live)
            if recall is not None:
                metrics.recall.labels(label).set(recall)
            crowded = live > max(self._health.most_live * len(parts.release.item_ids), 1000)
            poor = recall is not None and recall < self._health.least_recall
            # An index that is poor for these queries, though nothing has changed since it was built, would be so again.
            key = (parts.release.version, live)
            if crowded or (poor and key not in self._tried):
                self._tried[key] = recall or 0.0
                logger.warning("index of release %d: recall %s, %d changes: built again", key[0], recall, live)
                self.rebuild(engine)

    def rebuild(self, engine: ServedRelease) -> bool:
        """Build an engine's index again with its changes worked in, and swap it; tells whether that went well."""
        old = engine.release
        try:
            baked, index = rebuild(old)
        except (RebuildError, OSError) as error:
            self._service.metrics.rebuilds.labels("failed").inc()
            logger.error("%s", error)
            return False
        _ = baked.place  # worked out before requests need it
        with engine.changing:
            now = engine.release
            newer = (
                without(now.live.changes, old.live.changes if old.live is not None else {})
                if now.live is not None
                else {}
            )
            engine.parts = parts_of(baked.with_changes(newer), index)
        self._service.metrics.rebuilds.labels("swapped").inc()
        return True

    def _run(self) -> None:
        while not self._end.wait(self._health.seconds):
            self.look()
