"""A client for an address: gRPC for `host:port`, REST for `http://host:port`."""

from unified_ranker.serving.client.grpc_client import ModelClient
from unified_ranker.serving.client.rest_client import RestModelClient

_CONNECTIONS = 2

AnyClient = ModelClient | RestModelClient


def open_client(address: str, model_name: str, version: int) -> AnyClient:
    """Return a client of one version of a model.

    Raises:
        UserError: the address is none.
    """
    if address.startswith("http://"):
        return RestModelClient(address, model_name, version)
    return ModelClient(address, model_name, version, connections=_CONNECTIONS)
