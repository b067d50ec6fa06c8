"""Version of a model that a client calls: the choice of it, and the wait until it is available."""

import time
from collections.abc import Callable, Sequence

import grpc

from unified_ranker.core.errors import UserError
from unified_ranker.serving.backends.base import STATE_AVAILABLE, VersionStatus
from unified_ranker.serving.client.model_server_error import ModelServerError

_POLL_SECONDS = 0.05
_WAITED_OUT = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.NOT_FOUND)
"""Codes of a server that is not up, or has not found the version, yet."""


def require_one_choice(version: int | None, label: str | None) -> None:
    """Check that a model is called by its version or by a label.

    Raises:
        UserError: both are given.
    """
    if version is not None and label is not None:
        raise UserError(
            f"a model is called by `version` or by `label`. Received: {version} and `{label}`. Leave one out."
        )


def wait_for_version(
    statuses: Callable[[float], Sequence[VersionStatus]], timeout: float, late: Callable[[str], ModelServerError]
) -> int:
    """Wait until a server answers and a version is AVAILABLE, and return the highest that is.

    Args:
        statuses: asks the server, in at most so many seconds.
        timeout: seconds to wait.
        late: makes the error DEADLINE_EXCEEDED from its details.

    Raises:
        ModelServerError: `late`, with the last seen state; or an error that waiting cannot resolve.
    """
    deadline = time.monotonic() + timeout
    seen = "no answer"
    while (remaining := deadline - time.monotonic()) > 0:
        try:
            found = statuses(remaining)
        except ModelServerError as error:
            if error.code in _WAITED_OUT:
                seen = f"{error.code.name}: {error.details}"
            elif error.code is not grpc.StatusCode.DEADLINE_EXCEEDED:
                raise
        else:
            available = [status.version for status in found if status.state == STATE_AVAILABLE]
            if available:
                return max(available)
            seen = ", ".join(f"version {s.version} {s.state} {s.error}".rstrip() for s in found)
        time.sleep(min(_POLL_SECONDS, max(0.0, deadline - time.monotonic())))
    raise late(f"not {STATE_AVAILABLE} within {timeout:g} s; last seen: {seen}")
