"""The HTTP API of the ranking service, and the program that `unified-ranker serve` runs."""

import contextlib
import json
import logging
import re
from collections.abc import Callable
from pathlib import Path

import anyio.to_thread
from anyio import CapacityLimiter
from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse

from unified_ranker import __version__
from unified_ranker.errors import UserError
from unified_ranker.export.release import Layout
from unified_ranker.serving.addresses import address, listen, require_loopback
from unified_ranker.serving.client.grpc_client import ModelClient
from unified_ranker.serving.http.context import RequestContext, request_id_of
from unified_ranker.serving.http.docs import docs_page
from unified_ranker.serving.http.errors import add_error_handlers, described, unavailable
from unified_ranker.serving.http.models import Health, Readiness, RecommendRequest, RecommendResponse
from unified_ranker.serving.http.server import serve_until_stopped
from unified_ranker.serving.model_server.process import start_in_subprocess
from unified_ranker.serving.service.opening import open_histories, open_release, open_service
from unified_ranker.serving.service.service import AVAILABLE, RankingService

_LAST_PORT = 65_535

logger = logging.getLogger(__name__)


def create_app(service: RankingService) -> FastAPI:
    """Build the HTTP application over a service."""
    app = FastAPI(
        title="unified_ranker",
        version=__version__,
        description="Ranked items for every surface: search, more-like-this, home feed.",
        # FastAPI's own pages load their scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
    )
    app.add_middleware(RequestContext)
    add_error_handlers(app)
    _add_recommend(app, service)
    _add_probes(app, service)

    @app.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> HTMLResponse:
        policy = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
        return HTMLResponse(docs_page(app.openapi(), str(request.base_url)), headers=policy)

    return app


def _add_recommend(app: FastAPI, service: RankingService) -> None:
    # Not async: FastAPI then runs it in a thread, where waiting for the model server holds nobody up.
    @app.post("/v1/recommend", responses=described(400, 413, 422, 503))
    def recommend(body: RecommendRequest, request: Request) -> RecommendResponse:
        """Return the best items for a user on a surface."""
        made = service.recommend(body.to_request(), look_up_history=body.history is None)
        logger.info(
            "request %s: %d items for task %s in %.1f ms",
            request_id_of(request),
            len(made.answer.items),
            body.task,
            made.timings_ms["total"],
        )
        return RecommendResponse.of(request_id_of(request), body.task, made)


def _add_probes(app: FastAPI, service: RankingService) -> None:
    # Threads of its own: a probe does not queue behind requests that wait for the model server.
    threads = CapacityLimiter(2)

    @app.get("/healthz")
    async def healthz() -> Health:
        """Tell that the process is alive."""
        return Health()

    @app.get("/readyz", responses=described(503), response_model=Readiness)
    async def readyz(request: Request) -> Readiness | Response:
        """Tell whether the model server has the release's version AVAILABLE."""
        state = await anyio.to_thread.run_sync(service.model_state, limiter=threads)
        if state != AVAILABLE:
            return unavailable(request, f"the model server has version {service.release.version} in state {state}")
        return Readiness(release=service.release.version)


def run_service(
    release: Path,
    host: str = "127.0.0.1",
    port: int = 8080,
    model_server: str | None = None,
    project: Path | None = None,
    announce: Callable[[str], object] | None = None,
) -> None:
    """Serve a release over HTTP until SIGTERM or SIGINT. Call it from the main thread.

    Args:
        release: its directory, or a link to it.
        host: a loopback address.
        port: 0 takes a free one.
        model_server: `host:port` of TF Serving's gRPC API; None starts the embedded model server.
        project: whose event log holds the histories; None: the one in which the release lies.
        announce: called with lines for people, the last of them when requests are answered.

    Raises:
        UserError: the service cannot start, or the parts of it do not belong together.
    """
    _check_addresses(host, port, model_server)
    say = announce or logger.info
    release = release.resolve()  # one and the same throughout, should `latest` move
    opened = open_release(release)
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(listen(host, port, "--port"))
        histories = open_histories(release, opened, project)
        name = str(opened.manifest["model_name"])
        if model_server is None:
            say(f"release {opened.version}: starting the embedded model server …")
            child = stack.enter_context(start_in_subprocess(Layout(release).model_base, name))
            model_server = child.grpc_address
        client = stack.enter_context(ModelClient(model_server, name, opened.version))
        service = open_service(release, opened, client, histories)
        url = f"http://{address(host, listener.getsockname()[1])}"
        serve_until_stopped(create_app(service), listener, lambda: say(_ready(url, opened.version, service)))
    logger.info("stopped")


def _check_addresses(host: str, port: int, model_server: str | None) -> None:
    try:
        require_loopback(host)
    except UserError as error:
        raise UserError(
            f"`--host` must be a loopback address, because the service asks nobody who they are. Received: `{host}`. "
            "Use 127.0.0.1, behind a proxy that does ask where others are to reach it."
        ) from error
    if not 0 <= port <= _LAST_PORT:
        raise UserError(f"`--port` must be from 0, which takes a free one, to {_LAST_PORT}. Received: {port}.")
    if model_server is not None and not re.fullmatch(r"[^\s/]+:\d{1,5}", model_server):
        raise UserError(
            f"`--model-server` must be `host:port` of TF Serving's gRPC API, such as `127.0.0.1:8500`. "
            f"Received: `{model_server}`."
        )


def _ready(url: str, version: int, service: RankingService) -> str:
    example = json.dumps({"user_id": "1", "task": next(iter(service.release.config.tasks)), "limit": 5})
    return (
        f"release {version} is served at {url} (API: {url}/docs; stop with Ctrl-C). Try:\n"
        f"  curl -s {url}/v1/recommend -H 'Content-Type: application/json' -d '{example}'"
    )
