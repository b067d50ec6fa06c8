"""Lock of a role in Redis, which ends with the holder's connection.

The lock names the connection and the run of the server. A holder that is killed loses its connection at once, so the
next writer does not wait for an expiry, and a slow holder never loses the lock.
"""

import contextlib
import os
import secrets
from collections.abc import Iterator
from typing import Any

from unified_ranker.core.locks import taken
from unified_ranker.store.base import WRITERS, WriterRole

# Take over the lock of a dead holder, unless another process was faster.
_TAKE = """
local held = redis.call('GET', KEYS[1])
if (held or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1
"""
_FREE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"


@contextlib.contextmanager
def hold(client: Any, key: str, role: WriterRole, place: str) -> Iterator[str]:
    """Hold the lock `key` on a connection of its own; yields its value, by which the holder can check the lock.

    Args:
        client: opens the connection; `redis.Redis` with `single_connection_client`.
        key: of the lock.
        role: for the error.
        place: for the error.

    Raises:
        UserError: another process has it.
    """
    run = client.info("server")["run_id"]
    mine = f"{run} {client.client_id()} pid-{os.getpid()} {secrets.token_hex(8)}"
    held = (client.get(key) or b"").decode()
    if held:
        of_run, number, process, _ = held.split(" ")
        if of_run == run and client.client_list(client_id=[number]):
            raise taken(place, WRITERS[role], process)
    if not client.eval(_TAKE, 1, key, held, mine):
        raise taken(place, WRITERS[role], "one that came first")
    try:
        yield mine
    finally:
        with contextlib.suppress(client_faults()):
            # A stopped server frees nothing, but a lock of its earlier run is not valid any more.
            client.eval(_FREE, 1, key, mine)


def client_faults() -> type[Exception]:
    """Return the base of the exceptions of Redis' client."""
    import redis

    return redis.RedisError
