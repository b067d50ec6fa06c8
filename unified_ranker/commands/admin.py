"""What is asked of a running service."""

import json
import urllib.error
import urllib.request
from typing import Any

from unified_ranker.core.errors import UserError

_SECONDS = 600.0


def call(url: str, body: dict[str, object], token: str | None) -> dict[str, Any]:
    """Post JSON to a service and return its answer.

    Raises:
        UserError: it refuses, with its own words, or is not there.
    """
    if not url.startswith(("http://", "https://")):
        raise UserError(f"`--url` must begin with http:// or https://. Received: `{url}`.")
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers, method="POST")  # noqa: S310
    # A service is a neighbour, never behind the proxy of the environment.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=_SECONDS) as response:
            answer: dict[str, Any] = json.load(response)
            return answer
    except urllib.error.HTTPError as error:
        said = error.read().decode("utf-8", "replace")
        raise UserError(f"the service refuses ({error.code}): {_reason(said)}") from error
    except (OSError, ValueError) as error:
        raise UserError(f"no service answers at `{url}`: {error}. Start one, or name another with --url.") from error


def _reason(body: str) -> str:
    try:
        return str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return body[:200]
