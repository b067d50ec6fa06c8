"""The toy's service with everything that changes: a store, live items, releases on disk, and a model that may fail."""

import contextlib
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from release_toy import no_model
from service_toy import VECTORS, ToyModel, service, write_release

from unified_ranker.events.base import HistoryStore
from unified_ranker.release.verify_release import verify_release
from unified_ranker.serving.answering.opened_release import OpenedRelease
from unified_ranker.serving.backends.base import ModelBackendError
from unified_ranker.serving.http.api import Capacity, RankingBackend, create_app
from unified_ranker.serving.service.live_items import LiveItems
from unified_ranker.serving.service.ranking_service import RankingService, fill_popular
from unified_ranker.serving.service.releases import Releases
from unified_ranker.serving.service.store_follower import StoreFollower

RUNGS = ("full", "two_tower", "kept")
"""What the model can do: all, encode alone, or nothing."""
QUERY = "0.5,-1,2"
LIMIT = 500
"""More than all items: every item that may be shown is."""
LIKE: Mapping[str, Any] = {"task": "home_feed", "event_type": "rating", "value": 5}
"""An event after which `home_feed` leaves its item out for the user."""


class Failing(ToyModel):
    """The toy, as far as `able` lets it; what items are embedded as does not fail."""

    able = "full"
    closed = False

    def predict(self, signature: str, inputs: dict[str, Any], timeout: float | None = None) -> dict[str, np.ndarray]:
        assert not self.closed, "a closed model is called"
        if signature != "embed_items" and (self.able == "kept" or (self.able == "two_tower" and "rank" in signature)):
            raise ModelBackendError("the toy is made to fail", "UNAVAILABLE")
        return super().predict(signature, inputs, timeout)

    def close(self) -> None:
        self.closed = True


def write_releases(root: Path, count: int = 2) -> Path:
    """Write releases of the same items and vectors; returns their directory."""
    for _ in range(count):
        write_release(root / "releases", model=no_model)
    return root / "releases"


@dataclass
class Changing:
    """One replica: its service and what changes it."""

    service: RankingService
    live: LiveItems
    releases: Releases
    app: Any

    def able(self, rung: str) -> None:
        """Let the models of all releases in service do so much."""
        for engine in self.service.engines.values():
            engine.model.able = rung
            engine.breaker.succeeded()


@contextlib.contextmanager
def replica(
    root: Path, store: HistoryStore, version: int = 1, joins: bool = False, follows: bool = False
) -> Iterator[Changing]:
    """A service over release `version` of `root`, with no process of its own; it `follows` others by its threads."""
    ranker = service(Failing(), OpenedRelease.open(root / str(version)), histories=store, deadline=60.0)
    live = LiveItems(ranker, store)
    joined = {"store": store, "joins": joins}
    releases = Releases(ranker, root, lambda _: Failing(), live, verify=lambda d: list(verify_release(d)), **joined)
    app = create_app(RankingBackend(ranker, store, live, releases, capacity=Capacity(8, 1000, 60.0)))
    fill_popular(ranker, ranker.engines["stable"], ["DE"])
    threads = [
        StoreFollower(kind, part.follow, ranker.metrics) for kind, part in (("items", live), ("releases", releases))
    ]
    try:
        for thread in threads if follows else ():
            thread.start()
        yield Changing(ranker, live, releases, app)
    finally:
        for thread in threads:
            thread.stop()
        releases.close()


def code(numbers: np.random.Generator) -> str:
    """A random vector, written as the toy's items have it."""
    return ",".join(f"{x:.2f}" for x in numbers.normal(size=VECTORS.shape[1]))


def released(item: int) -> dict[str, Any]:
    """The fields of an item of the releases."""
    return {"title": f"Title {item}", "code": ",".join(map(str, VECTORS[item].tolist()))}


def in_threads(*works: Any) -> None:
    """Run functions at the same time, each in a thread of its own; raises what they raise."""
    faults: list[BaseException] = []

    def run(work: Any) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001  # passed on below
            faults.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for fault in faults:
        raise fault
