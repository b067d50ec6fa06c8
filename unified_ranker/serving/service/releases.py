"""Releases of a service: a new one is loaded beside the one in service, and then replaces it at once."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from unified_ranker.core.errors import UserError
from unified_ranker.core.memory import give_back, keep_loaded
from unified_ranker.events.base import Agreements, StoreError
from unified_ranker.events.memory_changes import MemoryChanges
from unified_ranker.release.index import load_index
from unified_ranker.release.layout import Layout, release_numbers
from unified_ranker.serving.answering.model_outputs import ModelOutputError
from unified_ranker.serving.answering.opened_release import OpenedRelease
from unified_ranker.serving.backends.base import ModelBackend, ModelBackendError, OpenModel, ServedModel
from unified_ranker.serving.client.splitting import LabelSplit
from unified_ranker.serving.service.agreed_releases import AgreedReleases, read_agreed, write_agreed
from unified_ranker.serving.service.counts_follower import CountsFollower
from unified_ranker.serving.service.live_items import LiveItems
from unified_ranker.serving.service.pairing import require_pair
from unified_ranker.serving.service.ranking_service import RankingService, fill_popular
from unified_ranker.serving.service.served_release import CANARY, STABLE, ServedRelease
from unified_ranker.serving.service.verification import Verification

_DRAIN_SECONDS = 30.0
_AGAIN_SECONDS = 30.0
"""Seconds until a release that the replicas agreed on, and that was refused here, is tried again."""
_PATIENCE = 1.0
"""Seconds to wait for a look at what replicas agreed on, which is short where there is nothing to load."""
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
    """Loads, swaps and rolls back releases of one directory, here and, by the store, at all replicas.

    A release is loaded and tried here first. Then the replicas agree on it, it answers here, and the others follow.

    Args:
        service: whose engines change.
        root: directory of the releases, which requests name by number and never by path.
        open_model: opens a backend of a release's model.
        live: changes to the catalogue, which are applied to a new release.
        counts: follows the store's log; None: popularity is that of a release's own log.
        store: of what the replicas agree on; None: this one is alone.
        joins: whether to bring about what they have agreed on before, and not what they agree on from now on alone.
        verify: walks a release's chain, and raises `UserError` for one that is broken.
    """

    def __init__(
        self,
        service: RankingService,
        root: Path,
        open_model: OpenModel,
        live: LiveItems,
        counts: CountsFollower | None = None,
        store: Agreements | None = None,
        joins: bool = False,
        verify: Callable[[Path], object] | None = None,
    ) -> None:
        self._service, self._root, self._open_model, self._live = service, root, open_model, live
        self._counts, self._verify = counts, verify or _verify_beside
        self._store = store if store is not None else MemoryChanges()
        stable = service.engines[STABLE]
        self._models: dict[int, ModelBackend] = {id(stable): stable.model}
        self._loading = threading.Lock()
        self._agreed = AgreedReleases(stable.release.version)
        found = read_agreed(self._store)
        self._followed = 0 if found is None or joins else found[0]
        """Number of the last agreement that was brought about here."""
        self._refused, self._again = 0, 0.0
        """Number of the agreement that could not be brought about, and when that is tried again."""
        self._note()
        self._note_agreed(self._agreed)

    def listed(self) -> list[int]:
        """Return the numbers of the releases in the directory, ascending."""
        return release_numbers(self._root)

    def load(
        self, version: int | None = None, label: str = STABLE, share: float = 0.0, everywhere: bool = True
    ) -> Swap:
        """Change to another release; None: the newest.

        Args:
            version: its number.
            label: `stable`, or `canary` for a share of the users.
            share: of the users that the canary answers.
            everywhere: whether all replicas change.

        Raises:
            UserError: it is no release, or refused; the service is unchanged.
            BusyError: another is being loaded.
            StoreError: the replicas cannot agree; the service is unchanged.
        """

        def change() -> Swap:
            chosen, now = self._chosen(version), self._now()
            agreed = now.loaded(chosen) if label == STABLE else replace(now, canary=chosen, share=share)
            return self._load(chosen, label, agreed, everywhere)

        return self._exclusively(change)

    def roll_back(self, label: str = STABLE) -> Swap:
        """Return to the previous release, or end a canary.

        Raises:
            UserError: there is no previous release, or it is refused.
            BusyError: another is being loaded.
            StoreError: the replicas cannot agree; the service is unchanged.
        """

        def change() -> Swap:
            agreed = self._now()
            if label == CANARY:
                return self._end_canary(replace(agreed, canary=None, share=0.0))
            agreed = agreed.rolled_back()
            return self._load(agreed.stable, STABLE, agreed)

        return self._exclusively(change)

    def follow(self) -> None:
        """Bring about what the replicas have agreed on; what is refused here is tried again after half a minute.

        Raises:
            StoreError: the store cannot be reached.
        """
        # While another one is being loaded here, perhaps the one that was agreed on, it waits.
        if self._to_follow() is None or not self._loading.acquire(blocking=False):
            return
        try:
            # Read again, because what was loaded here meanwhile is agreed on later.
            if (found := self._to_follow()) is not None:
                self._follow(*found)
        finally:
            self._loading.release()

    def close(self) -> None:
        """Close the models of all releases in service."""
        for model in list(self._models.values()):
            model.close()
        self._models.clear()

    # --- steps ----------------------------------------------------------------------------------------------------

    def _exclusively(self, change: Callable[[], Swap]) -> Swap:
        if not self._loading.acquire(timeout=_PATIENCE):
            raise BusyError("another release is being loaded; try again when it is done")
        try:
            swap = change()
        except (UserError, ModelBackendError, StoreError, OSError):
            self._service.metrics.reloads.labels("refused").inc()
            raise
        finally:
            self._loading.release()
        self._service.metrics.reloads.labels("swapped").inc()
        self._service.metrics.reload_seconds.set(swap.seconds)
        self._note()
        return swap

    def _to_follow(self) -> tuple[int, AgreedReleases] | None:
        """Return an agreement that is not brought about here, with its number, if it is to be tried now."""
        found = read_agreed(self._store)
        if found is None or found[0] == self._followed:
            return None
        return None if found[0] == self._refused and time.monotonic() < self._again else found

    def _follow(self, number: int, agreed: AgreedReleases) -> None:
        self._note_agreed(agreed)
        try:
            self._bring_about(agreed)
        except (UserError, ModelBackendError, OSError) as error:
            self._service.metrics.reloads.labels("refused").inc()
            logger.error("the replicas agreed on %s, and here it is refused: %s", agreed, error)
            self._refused, self._again = number, time.monotonic() + _AGAIN_SECONDS
        else:
            self._agreed, self._followed = agreed, number
        self._note()

    def _now(self) -> AgreedReleases:
        """Return what the replicas agree on now, perhaps not yet brought about here."""
        found = read_agreed(self._store)
        return self._agreed if found is None or found[0] == self._followed else found[1]

    def _agree(self, agreed: AgreedReleases, everywhere: bool) -> None:
        agreed = replace(agreed, newest=max(self.listed(), default=agreed.stable))
        if everywhere:
            # Not noted as followed: the rest of it, such as a canary, may not be brought about here yet.
            write_agreed(self._store, agreed)
        self._agreed = agreed
        self._note_agreed(agreed)

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

    def _bring_about(self, agreed: AgreedReleases) -> None:
        started, canary = time.monotonic(), self._service.engines.get(CANARY)
        if agreed.stable != self._service.engines[STABLE].release.version:
            self._publish(self._opened(self._chosen(agreed.stable), STABLE), agreed, started)
        if agreed.canary is None:
            self._without_canary()
        elif canary is None or canary.release.version != agreed.canary:
            self._publish(self._opened(self._chosen(agreed.canary), CANARY), agreed, started)
        else:
            self._split(agreed)

    def _load(self, version: int, label: str, agreed: AgreedReleases, everywhere: bool = True) -> Swap:
        started = time.monotonic()
        engine = self._opened(version, label)
        try:
            self._agree(agreed, everywhere)
        except BaseException:
            self._discard(engine)
            raise
        return self._publish(engine, agreed, started)

    def _opened(self, version: int, label: str) -> ServedRelease:
        """Return an engine that is ready to answer."""
        directory = self._root / str(version)
        self._verify(directory)
        release = OpenedRelease.open(directory)
        model = self._open_model(ServedModel(directory, release.manifest.model_name, release.version))
        try:
            model.start()
            return self._prepared(directory, release, model, label)
        except BaseException:
            model.close()
            raise

    def _discard(self, engine: ServedRelease) -> None:
        self._forget(engine)
        engine.model.close()

    def _forget(self, engine: ServedRelease) -> None:
        """Wait until an engine that does not come into service embeds no more items."""
        self._live.forget(engine)
        engine.wait_until_idle(_DRAIN_SECONDS)

    def _publish(self, engine: ServedRelease, agreed: AgreedReleases, started: float) -> Swap:
        label, version = engine.label, engine.release.version
        self._models[id(engine)] = engine.model
        previous = self._service.engines.get(label)
        self._service.engines = {**self._service.engines, label: engine}
        if label == CANARY:
            self._split(agreed)
        if previous is not None:
            self._retire(previous)
        took = time.monotonic() - started
        keep_loaded()
        logger.warning("release %d answers as %s after %.1f s", version, label, took)
        return Swap(label, version, previous.release.version if previous else None, took)

    def _split(self, agreed: AgreedReleases) -> None:
        shares = {CANARY: agreed.share, STABLE: 1 - agreed.share}
        self._service.split = LabelSplit(shares, salt=f"release {agreed.canary}")

    def _prepared(self, directory: Path, release: OpenedRelease, model: ModelBackend, label: str) -> ServedRelease:
        """Return an engine that has answered recorded requests, so that first calls, which are slow, are done."""
        require_pair(release, model, directory)
        index, evicted = load_index(Layout(directory).index, release.vectors), self._service.metrics.evicted
        engine = ServedRelease(release, index, model, label, evicted)
        _ = release.row_of
        try:
            self._rehearse(engine)
        except BaseException:
            self._forget(engine)
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

    def _without_canary(self) -> int | None:
        """End the canary; returns its number, None where there was none."""
        engine = self._service.engines.get(CANARY)
        if engine is None:
            return None
        self._service.split = None
        self._service.engines = {STABLE: self._service.engines[STABLE]}
        self._retire(engine)
        return engine.release.version

    def _end_canary(self, agreed: AgreedReleases) -> Swap:
        started = time.monotonic()
        if CANARY not in self._service.engines:
            raise UserError("there is no canary to end.")
        self._agree(agreed, everywhere=True)
        return Swap(CANARY, None, self._without_canary(), time.monotonic() - started)

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

    def _note_agreed(self, agreed: AgreedReleases) -> None:
        gauge = self._service.metrics.agreed_release
        gauge.labels(STABLE).set(agreed.stable)
        if agreed.canary is not None:
            gauge.labels(CANARY).set(agreed.canary)
        else:
            gauge.remove_by_labels({"label": CANARY})


def _verify_beside(directory: Path) -> None:
    """Walk a release's chain in a process of low priority."""
    Verification(directory, _NICENESS).require()
