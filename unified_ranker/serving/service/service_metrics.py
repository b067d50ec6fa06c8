"""Metrics of the service, for Prometheus. Alert rules and dashboards use these names."""

from collections.abc import Callable, Collection, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

_SECONDS = (0.0005, 0.001, 0.002, 0.004, 0.006, 0.008, 0.01, 0.015, 0.02, 0.025, 0.035, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
_PREFIX = "unified_ranker_"
CONTENT_TYPE = CONTENT_TYPE_LATEST


class ServiceMetrics:
    """Metrics of one service, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._children: dict[tuple[object, ...], object] = {}
        make = self._make
        self._stages = make(Histogram, "stage_seconds", "Time of a stage", ("task", "stage"), buckets=_SECONDS)
        self._answers = make(Counter, "answers", "Answers by rung of the ladder", ("task", "rung", "release", "label"))
        self._errors = make(Counter, "errors", "Errors by stage and reason", ("stage", "reason"))
        self._empty = make(Counter, "empty_answers", "Answers without an item", ("task",))
        self._users = make(Counter, "users", "Requests by whether their user has a history", ("task", "known"))
        self._sources = make(Counter, "source_items", "Source items by whether the catalogue has them", ("known",))
        self._heads = make(Histogram, "head_probability", "Of the best item", ("task", "head"), buckets=_SHARES)
        self._retrieval = make(
            Histogram, "retrieval_score", "Of the best item", ("task",), buckets=[n / 10 for n in range(-10, 21)]
        )
        self.refused = make(Counter, "refused", "Requests past capacity", ("reason",))
        self.waiting = make(Gauge, "queue_requests", "Requests that wait for a slot")
        self.running = make(Gauge, "running_requests", "Requests being answered")
        self.events = make(Counter, "events", "Events by outcome", ("outcome",))
        self.item_changes = make(Counter, "item_changes", "Items added or removed", ("change", "outcome"))
        self.reloads = make(Counter, "reloads", "Releases loaded, by outcome", ("outcome",))
        self.reload_seconds = make(Gauge, "reload_seconds", "Time that the last reload took")
        self.release = make(Gauge, "release", "Number of the release that answers", ("label",))
        self.model_up = make(Gauge, "model_up", "1 while the release's model can be called, else 0", ("label",))
        self.agreed_release = make(Gauge, "agreed_release", "Number of the release that replicas agreed on", ("label",))
        self.recall = make(Gauge, "index_recall", "Recall@100 of the index against exact search", ("label",))
        self.index_items = make(Gauge, "index_items", "Items that are searched", ("label",))
        self.live_items = make(Gauge, "index_live_items", "Live changes beside the index", ("label",))
        self.rebuilds = make(Counter, "index_rebuilds", "Rebuilds of the index", ("outcome",))
        self.unknown_events = make(Counter, "unknown_events", "Events by what the release does not know", ("field",))
        self.counted_events = make(Counter, "counted_events", "Events that popularity counts", ("label",))
        self.counts_behind = make(Gauge, "counts_behind_seconds", "Seconds by which popularity is behind", ("label",))
        self._evictions = make(Counter, "cache_evictions", "Entries that a full cache dropped", ("cache",))
        self.http = make(Counter, "http_responses", "Responses", ("path", "status"))
        self._of_releases = (
            *(self.release, self.model_up, self.recall, self.index_items, self.live_items, self.counts_behind),
        )

    def _make(self, kind: Callable[..., object], name: str, text: str, labels: tuple[str, ...] = (), **more: object):  # type: ignore[no-untyped-def]  # noqa: ANN202
        return kind(_PREFIX + name, text, labels, registry=self.registry, **more)

    def answered(
        self, task: str, rung: str | None, release: int, label: str, timings_ms: Mapping[str, float], known: bool
    ) -> None:
        """Count an answer: the rung that gave it, the time of its stages, and whether its user has a history."""
        self._child(self._answers, task, rung or "full", str(release), label).inc()
        self._child(self._users, task, "yes" if known else "no").inc()
        for stage, spent in timings_ms.items():
            self._child(self._stages, task, stage).observe(spent / 1000)

    def best(self, task: str, retrieval_score: float, heads: Mapping[str, float]) -> None:
        """Observe the scores of an answer's best item."""
        self._child(self._retrieval, task).observe(retrieval_score)
        for head, chance in heads.items():
            self._child(self._heads, task, head).observe(chance)

    def empty(self, task: str) -> None:
        """Count an answer without an item."""
        self._child(self._empty, task).inc()

    def source(self, known: bool) -> None:
        """Count a request's source item."""
        self._child(self._sources, "yes" if known else "no").inc()

    def error(self, stage: str, reason: str) -> None:
        """Count a fault."""
        self._child(self._errors, stage, reason).inc()

    def evicted(self, cache: str) -> None:
        """Count an entry that a full cache dropped."""
        self._child(self._evictions, cache).inc()

    def keep_labels(self, labels: Collection[str]) -> None:
        """Drop the gauges of releases under other labels: a canary that has ended is at no number any more."""
        for gauge in self._of_releases:
            (family,) = gauge.collect()
            for gone in {sample.labels["label"] for sample in family.samples} - set(labels):
                gauge.remove(gone)

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self.registry)

    def _child(self, family, *labels: str):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        # Cached, because `labels()` takes a lock and builds a key, and the hot path uses the same few labels.
        key = (family, *labels)
        if key not in self._children:
            self._children[key] = family.labels(*labels)
        return self._children[key]
