"""Embedded model server: a stand-in for `tensorflow/serving` on machines without Docker.

It loads a SavedModel base path with TensorFlow alone and speaks TF Serving's gRPC and REST APIs. It uses no code of
the ranker, so stock TF Serving can serve the same models.

    python -m unified_ranker.model_server releases/7 --grpc-port 8500 --rest-port 8501

prints one line of JSON with the addresses once the newest version is available, and serves until SIGTERM or
SIGINT.
"""

import argparse
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType, TracebackType

import grpc

from unified_ranker.core.addresses import GRPC_PORT, REST_PORT, address, listen, require_loopback
from unified_ranker.core.errors import UserError
from unified_ranker.core.memory import prepare_memory
from unified_ranker.model_server.batching import BatchingParameters
from unified_ranker.model_server.grpc_api import start_grpc_server
from unified_ranker.model_server.labels import read_models_config
from unified_ranker.model_server.rest_api import create_rest_app
from unified_ranker.model_server.rest_server import RestServer
from unified_ranker.model_server.versions import POLL_SECONDS, ModelVersions

USER_ERROR_EXIT_CODE = 2

# TF Serving's default of --grpc_max_threads; TensorFlow's own threads do the computing.
_THREADS = 4 * (os.cpu_count() or 1)
_STOP_GRACE_SECONDS = 5.0
_SWITCH_SECONDS = 0.0005

logger = logging.getLogger(__name__)


class EmbeddedModelServer:
    """Serves the newest version under a base path over gRPC and REST, from threads of this process.

    Use it as a context manager, or call `start` and `stop`.

    Args:
        base_path: directory of `<version>/saved_model.pb`, or a release.
        model_name: the name that requests give.
        host: a loopback address.
        grpc_port: 0 takes a free port.
        rest_port: 0 takes a free port.
        allow_non_loopback: whether `host` may be reachable from other machines; the server has no authentication.
        models_config: TF Serving's models.config, for labels and the policy of versions; its `base_path` is not read.
        batching: TF Serving's batching parameters file; None: no batching.
        poll_seconds: seconds between two searches for new versions.

    Raises:
        UserError: there is no version under `base_path`, a configuration file cannot be read, or `host` is not loopback
            and that is not allowed.
    """

    def __init__(
        self,
        base_path: Path | str,
        model_name: str = "unified_ranker",
        host: str = "127.0.0.1",
        grpc_port: int = 0,
        rest_port: int = 0,
        allow_non_loopback: bool = False,
        models_config: Path | None = None,
        batching: Path | None = None,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        if not allow_non_loopback:
            require_loopback(host)
        config = None if models_config is None else read_models_config(models_config)
        self._versions = ModelVersions(
            base_path,
            model_name if config is None else config.name,
            config,
            None if batching is None else BatchingParameters.read(batching),
        )
        self._poll_seconds = poll_seconds
        self._host = host
        self._grpc_port = grpc_port
        self._rest_port = rest_port
        self._executor: ThreadPoolExecutor | None = None
        self._grpc: grpc.Server | None = None
        self._rest: RestServer | None = None

    @property
    def grpc_address(self) -> str:
        """`host:port` of the gRPC API; final once the server has started."""
        return address(self._host, self._grpc_port)

    @property
    def rest_address(self) -> str:
        """`host:port` of the REST API; final once the server has started."""
        return address(self._host, self._rest_port)

    def start(self) -> "EmbeddedModelServer":
        """Load and warm up the newest version, then open both ports.

        Raises:
            UserError: the version does not load, its warm-up requests fail, or a port is taken.
        """
        self._versions.load_wanted()
        self._versions.follow(self._poll_seconds)
        self._executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="model-server")
        try:
            self._grpc, self._grpc_port = start_grpc_server(self._versions, self.grpc_address, self._executor)
            listener = listen(self._host, self._rest_port, "rest_port")
            self._rest_port = listener.getsockname()[1]
            self._rest = RestServer(create_rest_app(self._versions, self._executor), listener)
            self._rest.start()
        except BaseException:
            self.stop()
            raise
        logger.info("serving gRPC at %s and REST at %s", self.grpc_address, self.rest_address)
        return self

    def stop(self) -> None:
        """Stop accepting requests, give the running ones 5 s, and end. Does nothing when already stopped."""
        self._versions.stop_following()
        if self._grpc is not None:
            self._grpc.stop(_STOP_GRACE_SECONDS).wait()
            self._grpc = None
        if self._rest is not None:
            self._rest.stop()
            self._rest = None
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)
            self._executor = None

    def __enter__(self) -> "EmbeddedModelServer":
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def run(
    base_path: Path | str,
    model_name: str = "unified_ranker",
    host: str = "127.0.0.1",
    grpc_port: int = GRPC_PORT,
    rest_port: int = REST_PORT,
    allow_non_loopback: bool = False,
    on_ready: Callable[[EmbeddedModelServer], None] | None = None,
    stop_event: threading.Event | None = None,
    models_config: Path | None = None,
    batching: Path | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT. Call it from the main thread.

    Args:
        base_path: directory of `<version>/saved_model.pb`, or a release.
        model_name: the name that requests give.
        host: a loopback address.
        grpc_port: 0 takes a free port.
        rest_port: 0 takes a free port.
        allow_non_loopback: whether `host` may be reachable from other machines.
        on_ready: called once with the server when it answers requests.
        stop_event: setting it ends the server too.
        models_config: TF Serving's models.config, for labels and the policy of versions.
        batching: TF Serving's batching parameters file.

    Raises:
        UserError: the server cannot start.
    """
    stop = stop_event or threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        logger.info("stopping on %s", signal.Signals(number).name)
        stop.set()

    previous = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        with EmbeddedModelServer(
            base_path, model_name, host, grpc_port, rest_port, allow_non_loopback, models_config, batching
        ) as server:
            if on_ready is not None:
                on_ready(server)
            stop.wait()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def prepare_process() -> None:
    """Configure the process for online serving; call it before threads start."""
    # The longest that a request waits for a computing thread; Python's default is 5 ms.
    sys.setswitchinterval(_SWITCH_SECONDS)
    prepare_memory()


def run_model_server(arguments: Sequence[str] | None = None) -> int:
    """Run the server as a program of its own and return its exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    stop = threading.Event()
    if options.stop_with_stdin:
        threading.Thread(target=_set_at_end_of_stdin, args=(stop,), daemon=True).start()
    try:
        run(
            options.base_path,
            options.model_name,
            options.host,
            options.grpc_port,
            options.rest_port,
            options.allow_non_loopback,
            on_ready=lambda server: _report(grpc_address=server.grpc_address, rest_address=server.rest_address),
            stop_event=stop,
            models_config=options.models_config,
            batching=options.batching,
        )
    except UserError as error:
        _report(error=str(error))
        logger.error("%s", error)
        return USER_ERROR_EXIT_CODE
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m unified_ranker.model_server", description=__doc__)
    parser.add_argument("base_path", type=Path, help="directory of <version>/saved_model.pb, or a release")
    parser.add_argument("--model-name", default="unified_ranker", help="the name that requests give")
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address")
    parser.add_argument("--grpc-port", type=int, default=GRPC_PORT, help="0 takes a free port")
    parser.add_argument("--rest-port", type=int, default=REST_PORT, help="0 takes a free port")
    parser.add_argument("--allow-non-loopback", action="store_true", help="let other machines reach the server")
    parser.add_argument("--models-config", type=Path, help="TF Serving's models.config: labels, version policy")
    parser.add_argument("--batching", type=Path, help="TF Serving's batching parameters file")
    parser.add_argument("--stop-with-stdin", action="store_true", help="end when standard input ends")
    return parser


def _report(**line: str) -> None:
    """Write the one line of JSON that a parent process waits for."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def _set_at_end_of_stdin(stop: threading.Event) -> None:
    # os.read and not sys.stdin: a thread that waits in Python's buffered reader would abort the interpreter's exit.
    while os.read(0, 4096):
        pass
    logger.info("stopping with the end of standard input")
    stop.set()
