"""Program of `unified-ranker serve`: a ranking service with its model backend, event store and HTTP API."""

import contextlib
import json
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from unified_ranker.core.addresses import address, listen, require_loopback
from unified_ranker.core.errors import UserError
from unified_ranker.core.memory import keep_loaded, prepare_memory
from unified_ranker.events.base import HistoryStore, StoreError
from unified_ranker.events.open_histories import open_history_store
from unified_ranker.release.manifest import read_manifest
from unified_ranker.serving.answering.opened_release import OpenedRelease
from unified_ranker.serving.backends.base import OpenModel, ServedModel
from unified_ranker.serving.http.api import Capacity, RankingBackend, create_app
from unified_ranker.serving.http.http_server import serve_until_stopped
from unified_ranker.serving.http.security import LOOPBACK_NAMES, AccessTokens
from unified_ranker.serving.service.agreed_releases import release_to_start
from unified_ranker.serving.service.counts_follower import CountsFollower
from unified_ranker.serving.service.index_keeper import IndexHealth, IndexKeeper
from unified_ranker.serving.service.live_items import LiveItems
from unified_ranker.serving.service.model_watch import ModelWatch
from unified_ranker.serving.service.open_service import (
    MODEL_SERVER_SECONDS,
    import_project,
    open_release,
    open_service,
    store_place,
)
from unified_ranker.serving.service.ranking_service import DEADLINE, fill_popular
from unified_ranker.serving.service.releases import Releases
from unified_ranker.serving.service.served_release import STABLE
from unified_ranker.serving.service.service_metrics import ServiceMetrics
from unified_ranker.serving.service.store_follower import StoreFollower
from unified_ranker.serving.service.telemetry import start_tracing

_LAST_PORT = 65_535
_SWITCH_SECONDS = 0.001

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ServeOptions:
    """Options of `serve`.

    Attributes:
        host: address to listen on; other than loopback only with `tokens`.
        port: to listen on; 0: any free one.
        project: whose event log is imported; None: the release's own.
        store: of events: a directory, or `redis://…`; None: `.serving` beside the releases.
        tokens: file of access tokens.
        deadline: seconds that a request may take.
        wait: seconds to wait at the start until the model is served.
        capacity: limits of running and waiting requests.
        health: limits of a healthy index.
        canary: number of a second release, for `canary_share` of the users.
        canary_share: share of the users that it gets.
        strict_events: whether events that the release does not know are refused.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    project: Path | None = None
    store: str | None = None
    tokens: Path | None = None
    deadline: float = DEADLINE
    wait: float = MODEL_SERVER_SECONDS
    capacity: Capacity = field(default_factory=Capacity)
    health: IndexHealth = field(default_factory=IndexHealth)
    canary: int | None = None
    canary_share: float = 0.05
    strict_events: bool = False


def run_service(
    release: Path, options: ServeOptions, open_model: OpenModel, announce: Callable[[str], object] | None = None
) -> None:
    """Serve a release over HTTP until SIGTERM or SIGINT. Call it from the main thread.

    Args:
        release: its directory, or a link to it.
        options: of `serve`.
        open_model: opens a backend of the model of this release, and of later ones.
        announce: called with lines for the user, the last one when the service is ready.

    Raises:
        UserError: the service cannot start, or its parts do not belong together.
    """
    tokens = _check(options)
    say = announce or logger.info
    # By default a computing thread keeps the interpreter for 5 ms at a time, a large part of a request's time.
    sys.setswitchinterval(_SWITCH_SECONDS)
    prepare_memory()
    start_tracing()
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(listen(options.host, options.port, "--port"))
        # Resolved once, because `latest` may change.
        store = _open_store(release.resolve(), options)
        stack.callback(store.close)
        release, joins = release_to_start(release, store)
        manifest = read_manifest(release)
        model = open_model(ServedModel(release, manifest.model_name, manifest.version))
        stack.callback(model.close)
        say(f"release {manifest.version}: waiting for {model.description} …")
        # The model server may start while the release is verified and opened.
        opened = open_release(release)
        _import_log(store, release, options)
        model.start()
        service = open_service(release, opened, model, store, options.wait, options.deadline, ServiceMetrics())
        live = LiveItems(service, store)
        counts = CountsFollower(service, store)
        releases = Releases(service, release.parent, open_model, live, counts, store, joins)
        stack.callback(releases.close)
        fill_popular(service, service.engines[STABLE], opened.offers.countries)
        if options.canary is not None and not joins:
            releases.load(options.canary, "canary", options.canary_share, everywhere=False)
        releases.follow()
        keep_loaded()
        stack.callback(counts.start().stop)
        stack.callback(StoreFollower("items", live.follow, service.metrics).start().stop)
        stack.callback(StoreFollower("releases", releases.follow, service.metrics).start().stop)
        stack.callback(ModelWatch(service).start().stop)
        stack.callback(IndexKeeper(service, options.health).start().stop)
        hosts = () if tokens is not None else LOOPBACK_NAMES
        backend = RankingBackend(service, store, live, releases, tokens, hosts, options.capacity, options.strict_events)
        ready = _ready(f"http://{address(options.host, listener.getsockname()[1])}", opened)
        # This frame lives as long as the service, and its reference would keep the first release in memory.
        del opened
        serve_until_stopped(create_app(backend), listener, lambda: say(ready), service.metrics)
    logger.info("stopped")


def _check(options: ServeOptions) -> AccessTokens | None:
    tokens = AccessTokens.read(options.tokens) if options.tokens is not None else None
    if tokens is None:
        try:
            require_loopback(options.host)
        except UserError as error:
            raise UserError(
                f"`--host` must be a loopback address without tokens: otherwise anyone could read and change what is "
                f"served. Received: `{options.host}`. Use 127.0.0.1, or make tokens with `unified-ranker token` and "
                "name their file with `--tokens`."
            ) from error
    if not 0 <= options.port <= _LAST_PORT:
        raise UserError(f"`--port` must be from 0, which takes a free one, to {_LAST_PORT}. Received: {options.port}.")
    return tokens


def _open_store(release: Path, options: ServeOptions) -> HistoryStore:
    store = open_history_store(store_place(release, options.store))
    try:
        store.serve()
        store.ping()
    except StoreError as error:
        store.close()
        raise _no_store(error) from error
    except BaseException:
        store.close()
        raise
    return store


def _import_log(store: HistoryStore, release: Path, options: ServeOptions) -> None:
    try:
        taken = import_project(store, release, options.project)
    except StoreError as error:
        raise _no_store(error) from error
    if taken:
        logger.info("took %d events of the project's log over into the store", taken)


def _no_store(error: StoreError) -> UserError:
    return UserError(f"the store of histories must answer when the service starts. Received: {error}.")


def _ready(url: str, opened: OpenedRelease) -> str:
    example = json.dumps({"user_id": "1", "task": next(iter(opened.config.tasks)), "limit": 5})
    return (
        f"release {opened.version} is served at {url} (page: {url}/, API: {url}/docs; stop with Ctrl-C). Try:\n"
        f"  curl -s {url}/v1/recommend -H 'Content-Type: application/json' -d '{example}'"
    )
