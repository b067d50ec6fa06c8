"""One process of a role at a time in Redis, by a lock that ends with the holder's connection.

The lock names the connection and the server's run. A holder that is killed loses its connection at once, so that the
next writer need not wait for anything to expire, and a holder that merely is slow never loses it.
"""

import contextlib
import os
import secrets
from collections.abc import Iterator
from typing import Any

from unified_ranker.core.locks import taken
from unified_ranker.store.base import WRITERS, WriterRole

# Take over what a dead holder left, unless another was quicker.
_TAKE = """
local held = redis.call('GET', KEYS[1])
if (held or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1
"""
_FREE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"


@contextlib.contextmanager
def hold(client: Any, key: str, role: WriterRole, place: str) -> Iterator[str]:
    """Hold the lock `key` on a connection of its own; yields what it holds, for whoever must check that it still does.

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
            # A server that is gone frees nothing; a lock of its earlier run keeps nobody out.
            client.eval(_FREE, 1, key, mine)


def client_faults() -> type[Exception]:
    """Return what Redis' client raises when the server does not do as asked."""
    import redis

    return redis.RedisError
