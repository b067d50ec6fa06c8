"""A client for an address: gRPC for `host:port`, REST for `http://host:port`."""

import re

from unified_ranker.core.errors import UserError
from unified_ranker.serving.client.grpc_client import ModelClient
from unified_ranker.serving.client.rest_client import RestModelClient

_CONNECTIONS = 2
_PLACE = r"([^\s/,:\[\]]+|\[[0-9a-fA-F:]+\]):\d{1,5}"
_ADDRESS = re.compile(rf"{_PLACE}(,{_PLACE})*|http://{_PLACE}")

AnyClient = ModelClient | RestModelClient


def require_address(address: str) -> None:
    """Check the form of a model server's address; nothing is called.

    Raises:
        UserError: it is neither `host:port`, one or several, nor `http://host:port`.
    """
    if not _ADDRESS.fullmatch(address):
        raise UserError(
            "`--model-server` must be `host:port` of TF Serving's gRPC API, such as `127.0.0.1:8500` (several are "
            f"separated by commas), or `http://host:port` of its REST API. Received: `{address}`."
        )


def open_client(address: str, model_name: str, version: int) -> AnyClient:
    """Return a client of one version of a model.

    Raises:
        UserError: the address has another form; see `require_address`.
    """
    require_address(address)
    if address.startswith("http://"):
        return RestModelClient(address, model_name, version)
    return ModelClient(address, model_name, version, connections=_CONNECTIONS)
