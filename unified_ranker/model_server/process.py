"""Embedded model server as a child process, for a ranking service without the address of another."""

import collections
import json
import logging
import queue
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import IO

from unified_ranker.core.errors import UserError
from unified_ranker.model_server.base_path import resolve_base_path

MODULE = "unified_ranker.model_server"

_STOP_SECONDS = 15.0
_LOG_LINES_KEPT = 15

logger = logging.getLogger(__name__)


class ModelServerProcess:
    """Running child, made by `begin_in_subprocess`. Use it as a context manager, or call `stop`.

    The child ends when its standard input is closed, and so whenever this process ends.

    Attributes:
        grpc_address: `host:port` of its gRPC API.
        rest_address: `host:port` of its REST API.

    Args:
        command: program and arguments of the child.
    """

    def __init__(self, command: list[str]) -> None:
        self.grpc_address = ""
        self.rest_address = ""
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # Ctrl-C in a terminal reaches this process alone, which first finishes requests that need the model.
            start_new_session=True,
        )
        self._reports: queue.Queue[dict[str, str] | None] = queue.Queue()
        self._log: collections.deque[str] = collections.deque(maxlen=_LOG_LINES_KEPT)
        self._readers = [
            threading.Thread(target=self._read, args=(stream,), daemon=True)
            for stream in (self._process.stdout, self._process.stderr)
        ]
        for reader in self._readers:
            reader.start()

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """The child's exit code; None while it runs."""
        return self._process.poll()

    def wait(self) -> int:
        """Wait until the child has ended, and return its exit code."""
        return self._process.wait()

    def wait_until_ready(self, timeout: float) -> None:
        """Wait for the child's report and read the addresses from it.

        Args:
            timeout: seconds.

        Raises:
            UserError: the child refused, died or did not report in time; with its own message, or the end of
                its log. The child has then ended.
        """
        try:
            report = self._reports.get(timeout=timeout)
        except queue.Empty:
            self.kill()
            raise UserError(
                f"the model server must be ready within {timeout:g} s. It was not, and has been ended. Give "
                f"it a longer `timeout`, or find the reason at the end of its log:\n{self._log_tail()}"
            ) from None
        if report is None:
            self.kill()
            raise UserError(
                f"the model server must keep running. It died at start with exit code {self.returncode}. The "
                f"end of its log:\n{self._log_tail()}"
            )
        if "error" in report:
            self._wait_and_release()
            raise UserError(report["error"])
        self.grpc_address = report["grpc_address"]
        self.rest_address = report["rest_address"]

    def stop(self) -> None:
        """End the child: with SIGTERM, and after 15 s with SIGKILL. Does nothing when it has ended."""
        self._process.terminate()
        self._wait_and_release()

    def kill(self) -> None:
        """End the child at once."""
        self._process.kill()
        self._wait_and_release()

    def __enter__(self) -> "ModelServerProcess":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _wait_and_release(self) -> None:
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            logger.warning("the model server did not stop within %g s and is killed", _STOP_SECONDS)
            self._process.kill()
            self._process.wait()
        for reader in self._readers:
            reader.join()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()

    def _log_tail(self) -> str:
        return "\n".join(self._log)

    def _read(self, stream: IO[str]) -> None:
        """Pass on what the child writes: its report on standard output, and its log on standard error."""
        reporting = stream is self._process.stdout
        for line in stream:
            if reporting and line.startswith("{"):
                self._reports.put(json.loads(line))
            else:
                self._log.append(line.rstrip())
                logger.info("model server: %s", line.rstrip())
        if reporting:
            self._reports.put(None)


def begin_in_subprocess(
    base_path: Path | str,
    model_name: str = "unified_ranker",
    host: str = "127.0.0.1",
    grpc_port: int = 0,
    rest_port: int = 0,
    allow_non_loopback: bool = False,
) -> ModelServerProcess:
    """Start the embedded model server as a child process, and return before it answers; see `finish_start`.

    Args:
        base_path: directory of `<version>/saved_model.pb`, or a release.
        model_name: the name that requests give.
        host: a loopback address.
        grpc_port: 0 takes a free port.
        rest_port: 0 takes a free port.
        allow_non_loopback: whether `host` may be reachable from other machines.

    Raises:
        UserError: there is no version under `base_path`.
    """
    command = [sys.executable, "-m", MODULE, str(resolve_base_path(base_path)), "--stop-with-stdin"]
    command += ["--model-name", model_name, "--host", host]
    command += ["--grpc-port", str(grpc_port), "--rest-port", str(rest_port)]
    if allow_non_loopback:
        command.append("--allow-non-loopback")
    return ModelServerProcess(command)


def finish_start(child: ModelServerProcess, timeout: float = 120.0) -> None:
    """Wait until a child of `begin_in_subprocess` answers, and so has its addresses; end it if it does not.

    Args:
        child: that starts.
        timeout: seconds to wait, which include TensorFlow's import and the warm-up.

    Raises:
        UserError: the child could not start; the message is the child's.
    """
    started = time.monotonic()
    try:
        child.wait_until_ready(timeout)
    except BaseException:
        child.kill()
        raise
    logger.info("the model server is ready at %s after %.1f s", child.grpc_address, time.monotonic() - started)
