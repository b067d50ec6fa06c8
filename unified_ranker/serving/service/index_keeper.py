"""Supervision of the index in service: its recall and the number of live changes decide when it is rebuilt."""

import logging
from dataclasses import dataclass

from unified_ranker.serving.retrieval.health import recall_of
from unified_ranker.serving.retrieval.overlay import without
from unified_ranker.serving.retrieval.rebuilding import RebuildError, rebuild
from unified_ranker.serving.service.ranking_service import RankingService
from unified_ranker.serving.service.repeating import Repeating
from unified_ranker.serving.service.served_release import ServedRelease, parts_of

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class IndexHealth:
    """Limits of a healthy index.

    Attributes:
        seconds: between two measurements.
        least_recall: recall@100 below which the index is rebuilt.
        most_live: live changes, as a share of its items, above which the index is rebuilt; at least 1,000.
    """

    seconds: float = 60.0
    least_recall: float = 0.9
    most_live: float = 0.02


class IndexKeeper(Repeating):
    """Thread that measures and rebuilds the indices of a service's releases.

    Args:
        service: whose indices are measured.
        health: limits of a healthy index.
    """

    def __init__(self, service: RankingService, health: IndexHealth | None = None) -> None:
        self._service = service
        self._health = health or IndexHealth()
        super().__init__("index-keeper", self._health.seconds, service.metrics)
        self._tried: dict[tuple[int, int], float] = {}

    def look(self) -> None:
        """Measure every index once, and rebuild those that exceed the limits."""
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
            # A rebuild without changes since the last one would give the same recall.
            key = (parts.release.version, live)
            if crowded or (poor and key not in self._tried):
                self._tried[key] = recall or 0.0
                logger.warning("index of release %d: recall %s, %d changes: built again", key[0], recall, live)
                self.rebuild(engine)
        # A canary may have ended meanwhile.
        self._service.metrics.keep_labels(self._service.engines)

    def rebuild(self, engine: ServedRelease) -> bool:
        """Rebuild an engine's index with its changes, and swap it; tells whether it succeeded."""
        old = engine.release
        try:
            baked, index = rebuild(old)
        except (RebuildError, OSError) as error:
            self._service.metrics.rebuilds.labels("failed").inc()
            logger.error("%s", error)
            return False
        # Computed before requests need them.
        _ = baked.row_of
        if baked.popularity is not None:
            _ = baked.own_numbers
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
