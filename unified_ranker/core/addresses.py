"""Hosts and ports that the model server and the ranking service listen on."""

import ipaddress
import socket

from unified_ranker.core.errors import UserError

GRPC_PORT, REST_PORT = 8500, 8501
"""Ports of TF Serving's two APIs, unless others are given."""


def require_loopback(host: str) -> None:
    """Refuse a host that other machines may reach.

    Raises:
        UserError: `host` is neither `localhost` nor a loopback address.
    """
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise UserError(
            f"`host` must be a loopback address, because the model server has no authentication. "
            f"Received: `{host}`. Use `127.0.0.1`, or `allow_non_loopback` on a network that you trust."
        )


def listen(host: str, port: int, name: str) -> socket.socket:
    """Return a socket that listens at `host` and `port`; port 0 takes a free one.

    Args:
        host: a host name or address.
        port: a port number.
        name: what the port's setting is called, for the error.

    Raises:
        UserError: the address cannot be bound.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise cannot_bind(name, address(host, port), str(error)) from error


def cannot_bind(name: str, where: str, reason: str) -> UserError:
    """Build the error for an address that cannot be bound."""
    return UserError(
        f"`{name}` must be free on this machine. Received: `{where}`, which cannot be bound: {reason}. "
        f"Choose another port, or 0 for any free one."
    )


def address(host: str, port: int) -> str:
    """Return `host:port`, with the brackets that an IPv6 address needs."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
