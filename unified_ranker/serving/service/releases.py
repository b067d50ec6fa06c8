"""Releases of a service: a new one is loaded beside the one in service, and then replaces it at once."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from unified_ranker.core.errors import UserError
from unified_ranker.core.memory import give_back, keep_loaded
from unified_ranker.release.index import load_index
from unified_ranker.release.layout import Layout, release_numbers
from unified_ranker.serving.answering.model_outputs import ModelOutputError
from unified_ranker.serving.answering.opened_release import OpenedRelease
from unified_ranker.serving.backends.base import ModelBackend, ModelBackendError, OpenModel, ServedModel
from unified_ranker.serving.client.splitting import LabelSplit
from unified_ranker.serving.service.counts_follower import CountsFollower
from unified_ranker.serving.service.live_items import LiveItems
from unified_ranker.serving.service.pairing import require_pair
from unified_ranker.serving.service.ranking_service import RankingService, fill_popular
from unified_ranker.serving.service.served_release import CANARY, STABLE, ServedRelease
from unified_ranker.serving.service.verification import Verification

_DRAIN_SECONDS = 30.0
_NICENESS = 10
"""Of the verification of a release, beside which requests are answered."""

logger = logging.getLogger(__name__)


class BusyError(RuntimeError):
    """Error: another release is being loaded."""


@dataclass(frozen=True)
class Swap:
    """Result of a change of releases.

    Attributes:
        label: of the engine that changed.
        release: number of the release now in service; None: none under this label.
        previous: number of the release before; None: none.
        seconds: duration of the change, in which requests were answered.
    """

    label: str
    release: int | None
    previous: int | None
    seconds: float


class Releases:
    """Loads, swaps and rolls back releases of one directory.

    Args:
        service: whose engines change.
        root: directory of the releases, which requests name by number and never by path.
        open_model: opens a backend of a release's model.
        live: changes to the catalogue, which are applied to a new release.
        counts: follows the store's log; None: popularity is that of a release's own log.
        verify: walks a release's chain, and raises `UserError` for one that is broken.
    """

    def __init__(
        self,
        service: RankingService,
        root: Path,
        open_model: OpenModel,
        live: LiveItems,
        counts: CountsFollower | None = None,
        verify: Callable[[Path], object] | None = None,
    ) -> None:
        self._service, self._root, self._open_model, self._live = service, root, open_model, live
        self._counts, self._verify = counts, verify or _verify_beside
        stable = service.engines[STABLE]
        self._models: dict[int, ModelBackend] = {id(stable): stable.model}
        self._before: dict[str, list[int]] = {STABLE: [], CANARY: []}
        self._loading = threading.Lock()
        self._note()

    def listed(self) -> list[int]:
        """Return the numbers of the releases in the directory, ascending."""
        return release_numbers(self._root)

    def load(self, version: int | None = None, label: str = STABLE, share: float = 0.0) -> Swap:
        """Change to another release; None: the newest.

        Args:
            version: its number.
            label: `stable`, or `canary` for a share of the users.
            share: of the users that the canary answers.

        Raises:
            UserError: it is no release, or refused; the service is unchanged.
            BusyError: another is being loaded.
        """
        return self._exclusively(lambda: self._load(self._chosen(version), label, share))

    def roll_back(self, label: str = STABLE) -> Swap:
        """Return to the previous release, or end a canary.

        Raises:
            UserError: there is no previous release, or it is refused.
            BusyError: another is being loaded.
        """
        return self._exclusively(lambda: self._end_canary() if label == CANARY else self._back())

    def close(self) -> None:
        """Close the models of all releases in service."""
        for model in list(self._models.values()):
            model.close()
        self._models.clear()

    # --- steps ----------------------------------------------------------------------------------------------------

    def _exclusively(self, change: Callable[[], Swap]) -> Swap:
        if not self._loading.acquire(blocking=False):
            raise BusyError("another release is being loaded; try again when it is done")
        try:
            swap = change()
        except (UserError, ModelBackendError, OSError):
            self._service.metrics.reloads.labels("refused").inc()
            raise
        finally:
            self._loading.release()
        self._service.metrics.reloads.labels("swapped").inc()
        self._service.metrics.reload_seconds.set(swap.seconds)
        self._note()
        return swap

    def _chosen(self, version: int | None) -> int:
        known = self.listed()
        if version is None and known:
            return known[-1]
        if version not in known:
            found = ", ".join(map(str, known)) or "none"
            raise UserError(
                f"release {version} is not among those of this service: {found}. Export it, or name another."
            )
        return version

    def _load(self, version: int, label: str, share: float) -> Swap:
        started, directory = time.monotonic(), self._root / str(version)
        self._verify(directory)
        release = OpenedRelease.open(directory)
        model = self._open_model(ServedModel(directory, release.manifest.model_name, release.version))
        try:
            model.start()
            engine = self._prepared(directory, release, model, label)
        except BaseException:
            model.close()
            raise
        self._models[id(engine)] = model
        previous = self._service.engines.get(label)
        self._service.engines = {**self._service.engines, label: engine}
        if label == CANARY:
            self._service.split = LabelSplit({CANARY: share, STABLE: 1 - share}, salt=f"release {version}")
        if previous is not None:
            self._before[label].append(previous.release.version)
            self._retire(previous)
        keep_loaded()
        took = time.monotonic() - started
        logger.warning("release %d answers as %s after %.1f s", version, label, took)
        return Swap(label, version, previous.release.version if previous else None, took)

    def _prepared(self, directory: Path, release: OpenedRelease, model: ModelBackend, label: str) -> ServedRelease:
        """Return an engine that has answered recorded requests, so that first calls, which are slow, are done."""
        require_pair(release, model, directory)
        index, evicted = load_index(Layout(directory).index, release.vectors), self._service.metrics.evicted
        engine = ServedRelease(release, index, model, label, evicted)
        _ = release.row_of
        try:
            self._rehearse(engine)
        except BaseException:
            self._live.forget(engine)
            raise
        return engine

    def _rehearse(self, engine: ServedRelease) -> None:
        release = engine.release
        try:
            # From here on it gets every change of an item, as those in service do.
            self._live.install(engine)
            if self._counts is not None:
                self._counts.follow(engine)
            fill_popular(self._service, engine, release.offers.countries)
            for request in list(self._service.engines[STABLE].requests):
                if request.task in release.config.tasks:
                    rung = self._service.rehearse(engine, request)
                    if rung is not None:
                        raise UserError(
                            f"release {release.version} must answer the last minutes' requests in full. "
                            f"Received: `{rung}` for one of task `{request.task}`. The release in service stays."
                        )
        except (ModelBackendError, ModelOutputError) as error:
            raise UserError(
                f"release {release.version} cannot answer: {error}. The release in service stays."
            ) from error

    def _back(self) -> Swap:
        if not self._before[STABLE]:
            raise UserError("there is no previous release: the service has not changed releases.")
        version = self._before[STABLE][-1]
        swap = self._load(version, STABLE, 0.0)
        self._before[STABLE] = self._before[STABLE][:-2]
        return swap

    def _end_canary(self) -> Swap:
        started, engine = time.monotonic(), self._service.engines.get(CANARY)
        if engine is None:
            raise UserError("there is no canary to end.")
        self._service.split = None
        self._service.engines = {STABLE: self._service.engines[STABLE]}
        self._retire(engine)
        return Swap(CANARY, None, engine.release.version, time.monotonic() - started)

    def _retire(self, engine: ServedRelease) -> None:
        """Close an engine when no request uses it any more."""
        self._live.forget(engine)
        threading.Thread(target=self._end, args=([engine],), name="retire-release", daemon=True).start()

    def _end(self, last: list[ServedRelease]) -> None:
        engine = last.pop()
        engine.wait_until_idle(_DRAIN_SECONDS)
        self._models.pop(id(engine), engine.model).close()
        # The last reference to hundreds of megabytes of vectors and names.
        del engine
        give_back()

    def _note(self) -> None:
        for label, engine in self._service.engines.items():
            self._service.metrics.release.labels(label).set(engine.release.version)
        self._service.metrics.keep_labels(self._service.engines)


def _verify_beside(directory: Path) -> None:
    """Walk a release's chain in a process of low priority."""
    Verification(directory, _NICENESS).require()
