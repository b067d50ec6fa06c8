"""Histories in Redis, for a service of several replicas. Durable as far as Redis is: run it with `appendonly yes`.

Keys: `<prefix>h:<user>` a sorted set of lines by time, `<prefix>events` a stream of all events in their order,
`<prefix>event_ids`, `<prefix>users`, `<prefix>items` with the order of their changes in `<prefix>item_order`,
`<prefix>agreed`, the counter `<prefix>changes` of the two, and `<prefix>imports`.
"""

import contextlib
import itertools
import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from unified_ranker.core.errors import UserError
from unified_ranker.core.event import Event, with_digests
from unified_ranker.core.extras import require_extra
from unified_ranker.core.places import cut_prefix, require_no_eviction
from unified_ranker.core.request import NO_HISTORY, History
from unified_ranker.events.base import MOST, LoggedEvent, StoreError
from unified_ranker.events.event_lines import event_of_log, history_of, undamaged
from unified_ranker.events.item_change import ItemChange

logger = logging.getLogger(__name__)

_PREFIX = "unified_ranker:"
_TIMEOUT = 0.25
"""Longest time of a call in seconds: an answer without a history is better than one after the deadline."""
_DOWN_SECONDS = 1.0
"""Seconds after a failure in which Redis is not called, so that requests do not wait for it in vain."""
_IMPORTED_AT_ONCE = 1_000

# One script, so that an event is in both the history and the stream, or in neither.
_APPEND = """
local new = 0
for i = 1, #ARGV, 6 do
  local user, stamp, member, line, record = ARGV[i], ARGV[i+1], ARGV[i+2], ARGV[i+3], ARGV[i+4]
  -- A client that sends an event again may give it another time.
  local again = ARGV[i+5] ~= '' and redis.call('SADD', KEYS[1] .. 'event_ids', member .. user) == 0
  if not again and redis.call('ZADD', KEYS[1] .. 'h:' .. user, 'NX', stamp, member .. line) == 1 then
    redis.call('XADD', KEYS[1] .. 'events', '*', 'e', record)
    if user ~= '' then redis.call('SADD', KEYS[1] .. 'users', user) end
    new = new + 1
  end
end
return new
"""

# An imported log has fewer fields than the events that clients reported, so events are compared by their lines.
_IMPORT = """
local new = 0
for i = 1, #ARGV, 5 do
  local user, stamp, member, line = ARGV[i], ARGV[i+1], ARGV[i+2], ARGV[i+3]
  local stored = 0
  for _, other in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1] .. 'h:' .. user, stamp, stamp)) do
    if string.sub(other, #member + 1) == line then stored = stored + 1 end
  end
  if stored <= tonumber(ARGV[i+4]) then
    new = new + redis.call('ZADD', KEYS[1] .. 'h:' .. user, 'NX', stamp, member .. line)
  end
  redis.call('SADD', KEYS[1] .. 'users', user)
end
return new
"""

# A change, its position and its place in the order are stored together, or not at all.
_PUT_ITEM = """
local order = KEYS[1] .. 'item_order'
if ARGV[3] ~= '' and tonumber(redis.call('ZSCORE', order, ARGV[1]) or 0) ~= tonumber(ARGV[3]) then return 0 end
local position = redis.call('INCR', KEYS[1] .. 'changes')
redis.call('HSET', KEYS[1] .. 'items', ARGV[1], ARGV[2])
redis.call('ZADD', order, position, ARGV[1])
return position
"""

_AGREE = """
local number = redis.call('INCR', KEYS[1] .. 'changes')
redis.call('HSET', KEYS[1] .. 'agreed', ARGV[1], '[' .. number .. ',' .. ARGV[2] .. ']')
return number
"""


class RedisStore:
    """See `HistoryStore`.

    Args:
        url: `redis://host:port/database`, with `?prefix=` for another prefix of the keys.

    Raises:
        UserError: Redis' client is not installed, or the URL is none.
    """

    def __init__(self, url: str) -> None:
        require_extra("redis", f"`--store {url}`")
        import redis

        self._faults, self._unreachable = redis.RedisError, (redis.ConnectionError, redis.TimeoutError)
        self._place = url
        address, self._prefix = cut_prefix(url, _PREFIX)
        try:
            self._redis: Any = redis.Redis.from_url(
                address, socket_timeout=_TIMEOUT, socket_connect_timeout=_TIMEOUT, max_connections=64
            )
        except ValueError as error:
            raise UserError(
                f"`--store` must be a directory or redis://host:port/database. Received: `{url}`."
            ) from error
        self._append, self._import, self._put_item, self._agree = (
            self._redis.register_script(script) for script in (_APPEND, _IMPORT, _PUT_ITEM, _AGREE)
        )
        self._down_until, self._full_until = 0.0, 0.0

    def append(self, events: Sequence[Event]) -> int:
        """See `HistoryStore.append`."""
        arguments: list[Any] = []
        for event, digest in with_digests(events):
            arguments += [event.user_id, event.timestamp, digest, event.line(), event.record(), event.event_id]
        with self._asking(writes=True):
            return int(self._append(keys=[self._prefix], args=arguments))

    def before(self, user_id: str, timestamp: int) -> History:
        """See `HistoryStore.before`."""
        if not user_id:
            return NO_HISTORY
        with self._asking():
            latest = f"({timestamp}" if timestamp else "+inf"
            lines = self._redis.zrevrangebyscore(f"{self._prefix}h:{user_id}", latest, "-inf", start=0, num=MOST + 1)
        return history_of([line[8:] for line in reversed(lines)])

    def import_lines(self, rows: Iterable[LoggedEvent], key: str) -> int:
        """See `HistoryStore.import_lines`."""
        with self._asking(writes=True):
            if self._redis.sismember(f"{self._prefix}imports", key):
                return 0
            taken, left = 0, iter(rows)
            while part := list(itertools.islice(left, _IMPORTED_AT_ONCE)):
                taken += int(self._import(keys=[self._prefix], args=[value for row in part for value in row]))
            self._redis.sadd(f"{self._prefix}imports", key)
            return taken

    def since(self, position: str, most: int = 1000) -> list[tuple[str, Event]]:
        """See `HistoryStore.since`."""
        events: list[tuple[str, Event]] = []
        while not events:
            with self._asking():
                found = self._redis.xrange(
                    f"{self._prefix}events", f"({position}" if position else "-", "+", count=most
                )
            if not found:
                break
            position = found[-1][0].decode()
            read = ((identity.decode(), event_of_log(fields.get(b"e", b""))) for identity, fields in found)
            events = [(identity, event) for identity, event in read if event is not None]
        return events

    def users(self, prefix: str, most: int) -> list[str]:
        """See `HistoryStore.users`."""
        found: list[str] = []
        with self._asking():
            for user in self._redis.sscan_iter(f"{self._prefix}users", count=1000):
                if user.decode().startswith(prefix):
                    found.append(user.decode())
                    if len(found) == most:
                        break
        return sorted(found)

    def put_item(
        self, item_id: str, fields: Mapping[str, Any] | None, partial: bool = False, seen: int | None = None
    ) -> int:
        """See `CatalogueChanges.put_item`."""
        record = ItemChange(item_id, 0, fields, partial).record()
        with self._asking(writes=True):
            return int(self._put_item(keys=[self._prefix], args=[item_id, record, "" if seen is None else seen]))

    def item_changes(self, after: int = -1) -> list[ItemChange]:
        """See `CatalogueChanges.item_changes`."""
        items, order = f"{self._prefix}items", f"{self._prefix}item_order"
        with self._asking():
            # The order is read first. A change that comes between the two is read now, and with its position later.
            if after < 0:
                positions = dict(self._redis.zrange(order, 0, -1, withscores=True))
                records = self._redis.hgetall(items)
            else:
                positions = dict(self._redis.zrangebyscore(order, f"({after}", "+inf", withscores=True))
                names = list(positions)
                records = dict(zip(names, self._redis.hmget(items, names), strict=True)) if names else {}
        with undamaged():
            # Changes of a store of earlier versions have no position.
            found = [
                ItemChange.of_record(n.decode(), int(positions.get(n, 0)), record) for n, record in records.items()
            ]
        return sorted(found, key=lambda change: change.position)

    def agree(self, name: str, value: Mapping[str, Any]) -> int:
        """See `Agreements.agree`."""
        with self._asking(writes=True):
            return int(self._agree(keys=[self._prefix], args=[name, orjson.dumps(dict(value))]))

    def agreed(self, name: str) -> tuple[int, dict[str, Any]] | None:
        """See `Agreements.agreed`."""
        with self._asking():
            found = self._redis.hget(f"{self._prefix}agreed", name)
        with undamaged():
            return None if found is None else tuple(orjson.loads(found))

    def serve(self) -> None:
        """See `HistoryStore.serve`: any number of replicas may share a Redis."""

    def ping(self) -> None:
        """See `HistoryStore.ping`."""
        with self._asking():
            self._redis.ping()
        try:
            with self._asking():
                memory = self._redis.info("memory")
        except StoreError as error:
            # A hosted Redis may not tell.
            logger.warning("whether `%s` evicts histories is not known: %s", self._place, error)
            return
        require_no_eviction(self._place, memory)

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()

    @contextlib.contextmanager
    def _asking(self, writes: bool = False) -> Iterator[None]:
        """Call Redis. While it cannot be reached, nothing is asked of it; while it refuses writes, it is read."""
        now = time.monotonic()
        if now < self._down_until:
            raise StoreError("Redis does not answer; it is asked again within a second")
        if writes and now < self._full_until:
            raise StoreError("Redis takes no writes; it is asked again within a second")
        try:
            yield
        except self._unreachable as error:
            self._down_until = time.monotonic() + _DOWN_SECONDS
            raise StoreError(f"Redis does not answer: {error}") from error
        except self._faults as error:
            # It answers: it is full, for example, or a replica.
            if writes:
                self._full_until = time.monotonic() + _DOWN_SECONDS
            raise StoreError(f"Redis refuses: {error}") from error
