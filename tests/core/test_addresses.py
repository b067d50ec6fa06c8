"""Hosts and ports: which are this machine's own, and what is said of one that is taken."""

import socket

import pytest

from unified_ranker.core.addresses import address, cannot_bind, listen, require_loopback
from unified_ranker.core.errors import UserError


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "::1"])
def test_a_host_of_this_machine_is_accepted(host):
    require_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.0.1", "::", "example.org", "LOCALHOST", ""])  # noqa: S104
def test_a_host_that_others_may_reach_is_refused(host):
    with pytest.raises(UserError) as caught:
        require_loopback(host)
    assert str(caught.value).startswith("`host` must be a loopback address")
    assert f"Received: `{host}`. Use `127.0.0.1`" in str(caught.value)


def test_a_socket_takes_callers_at_its_port():
    with listen("127.0.0.1", 0, "--port") as server, socket.create_connection(server.getsockname(), 5):
        assert server.family == socket.AF_INET
        server.accept()[0].close()


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_a_host_with_colons_is_of_ipv6():
    with listen("::1", 0, "--port") as server:
        assert server.family == socket.AF_INET6
        assert server.getsockname()[:1] == ("::1",)


def test_a_port_that_is_taken_is_named_with_its_setting():
    with listen("127.0.0.1", 0, "--port") as server:
        port = server.getsockname()[1]
        with pytest.raises(UserError, match="Address already in use") as caught:
            listen("127.0.0.1", port, "--rest-port")
    reason = str(caught.value.__cause__)
    assert str(caught.value) == str(cannot_bind("--rest-port", f"127.0.0.1:{port}", reason))
    assert str(cannot_bind("p", "h:1", "no")) == (
        "`p` must be free on this machine. Received: `h:1`, which cannot be bound: no. "
        "Choose another port, or 0 for any free one."
    )


def test_an_ipv6_address_is_written_in_brackets():
    assert address("host", 80) == "host:80"
    assert address("::1", 80) == "[::1]:80"
