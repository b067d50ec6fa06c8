"""Shared backend: Redis, with the version in each key, and a pointer that is switched after loading.

Keys, after the prefix: `state`, the pointer; `<lock>`; of version 3 `v3:item:<id>`, a record; `v3:ids:item`, a list of
JSON arrays of ids; `v3:manifest` and `v3:sealed`, written last; `v3:changes:item` and `v3:position` of the refresher.
Durable as far as Redis is: run it with `appendonly yes`, and without eviction.
"""

import contextlib
import json
from collections.abc import Iterator, Sequence
from typing import Any

from unified_ranker.core.errors import UserError
from unified_ranker.core.extras import require_extra
from unified_ranker.core.places import cut_prefix, require_no_eviction
from unified_ranker.store.base import Document, Records, WriterRole
from unified_ranker.store.records import ENTRY_KINDS
from unified_ranker.store.redis_lock import hold
from unified_ranker.store.state import StoreState
from unified_ranker.store.version_manifest import VersionManifest, find_version, missing_entries

_PREFIX = "unified_ranker:vectors:"
_SECONDS = 30.0
_AT_ONCE = 5_000
_SWITCH = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[2], ARGV[2])
return 1
"""
# Atomic, and only for a version that still exists.
_UPDATE = """
local v, kind, position, new = ARGV[1], ARGV[2], ARGV[3], {}
if redis.call('EXISTS', v .. 'sealed') == 0 then return 0 end
for i = 4, #ARGV, 2 do
  local key = v .. kind .. ':' .. ARGV[i]
  if redis.call('EXISTS', key) == 0 then new[#new + 1] = ARGV[i] end
  redis.call('SET', key, ARGV[i + 1])
  redis.call('RPUSH', v .. 'changes:' .. kind, ARGV[i])
end
if #new > 0 then redis.call('RPUSH', v .. 'ids:' .. kind, cjson.encode(new)) end
redis.call('SET', v .. 'position', position)
return 1
"""


class RedisBackend:
    """See `StoreBackend`.

    Args:
        url: `redis://host:port/database`, with `?prefix=` for another prefix of the keys.

    Raises:
        UserError: the client is not installed, or the URL is none.
    """

    def __init__(self, url: str) -> None:
        require_extra("redis", f"the store `{url}`")
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        self.place = url
        self._url, self.prefix = cut_prefix(url, _PREFIX)
        self._faults = redis.RedisError
        # No automatic retries: a write that is repeated would count as a duplicate id.
        self._settings: dict[str, Any] = {
            "socket_timeout": _SECONDS, "socket_connect_timeout": 5.0, "retry": Retry(NoBackoff(), 0),
        }  # fmt: skip
        self._client = redis.Redis
        try:
            self._redis: Any = redis.Redis.from_url(self._url, **self._settings)
        except ValueError as error:
            raise UserError(f"a store must be a directory or redis://host:port/database. Received: `{url}`.") from error
        self._raw: bytes | None = None
        self._published = 0
        self._held: dict[str, str] = {}
        self._run = ""

    def state(self) -> Document | None:
        """See `StoreBackend.state`."""
        with self._asking():
            raw = self._redis.get(self._key("state"))
        return json.loads(raw) if raw else None

    def switch(self, state: Document) -> None:
        """See `StoreBackend.switch`."""
        keys = [self._key("writer"), self._key("state")]
        with self._asking():
            done = self._redis.eval(_SWITCH, 2, *keys, self._held.get("writer", ""), json.dumps(state))
        if not done:
            raise UserError(
                f"the right to write `{self.place}` was lost: Redis stopped, or the connection to it ended. The "
                "published version is unchanged. Run the same command again."
            )

    @contextlib.contextmanager
    def lock(self, role: WriterRole) -> Iterator[None]:
        """See `StoreBackend.lock`."""
        with self._asking():
            client = self._client.from_url(self._url, **self._settings, single_connection_client=True)
            with contextlib.closing(client), hold(client, self._key(role), role, self.place) as mine:
                self._held[role] = mine
                try:
                    yield
                finally:
                    del self._held[role]

    def versions(self) -> list[int]:
        """See `StoreBackend.versions`."""
        with self._asking():
            return sorted(int(number) for number in self._redis.smembers(self._key("versions")))

    def manifest(self, version: int) -> Document | None:
        """See `StoreBackend.manifest`."""
        with self._asking():
            raw = self._redis.get(self._key(version, "manifest"))
        return json.loads(raw) if raw else None

    def begin(self, version: int) -> None:
        """See `StoreBackend.begin`."""
        self.drop(version)
        with self._asking():
            require_no_eviction(self.place, self._redis.info("memory"))
            self._run = self._redis.info("server")["run_id"]
            self._redis.sadd(self._key("drafts"), version)

    def put(self, version: int, kind: str, ids: Sequence[str], records: Sequence[bytes]) -> list[str]:
        """See `StoreBackend.put`."""
        begin, again = self._key(version, kind, ""), []
        with self._asking():
            for start in range(0, len(ids), _AT_ONCE):
                part = ids[start : start + _AT_ONCE]
                pipe = self._redis.pipeline(transaction=False)
                for name, record in zip(part, records[start : start + _AT_ONCE], strict=True):
                    pipe.execute_command("SET", begin + name, record, "NX")
                made = pipe.execute()
                new = [name for name, done in zip(part, made, strict=True) if done]
                again += [name for name, done in zip(part, made, strict=True) if not done]
                if new:
                    self._redis.rpush(self._key(version, "ids", kind), json.dumps(new))
        return again

    def seal(self, version: int, manifest: Document) -> None:
        """See `StoreBackend.seal`."""
        with self._asking():
            run = self._redis.info("server")["run_id"]
            lacking = self._lacking(VersionManifest.of_document(manifest, f"version {version}"))
            if run != self._run or lacking:
                why = "Redis was restarted meanwhile" if run != self._run else "Redis has lost entries"
                raise UserError(
                    f"version {version} must be complete before it is published. Received: {why}; "
                    f"{', '.join(lacking) or 'a part of it may be lost'}. The published version is unchanged. "
                    "Run the same command again."
                )
            pipe = self._redis.pipeline(transaction=True)
            pipe.set(self._key(version, "manifest"), json.dumps(manifest))
            pipe.set(self._key(version, "sealed"), b"1")
            pipe.sadd(self._key("versions"), version)
            pipe.srem(self._key("drafts"), version)
            pipe.execute()

    def note(self, version: int, manifest: Document) -> None:
        """See `StoreBackend.note`."""
        with self._asking():
            self._redis.set(self._key(version, "manifest"), json.dumps(manifest))

    def drop(self, version: int) -> None:
        """See `StoreBackend.drop`."""
        with self._asking():
            # Marked as a draft first, so that the next writer finishes a removal that is interrupted.
            pipe = self._redis.pipeline(transaction=True)
            pipe.sadd(self._key("drafts"), version)
            pipe.srem(self._key("versions"), version)
            pipe.delete(self._key(version, "sealed"), self._key(version, "manifest"), self._key(version, "position"))
            pipe.execute()
            for kind in ENTRY_KINDS:
                begin, listed = self._key(version, kind, ""), self._key(version, "ids", kind)
                while part := self._redis.lindex(listed, 0):
                    self._redis.unlink(*(begin + name for name in json.loads(part)))
                    self._redis.lpop(listed)
                self._redis.unlink(self._key(version, "changes", kind))
            self._redis.srem(self._key("drafts"), version)

    def clear(self) -> None:
        """See `StoreBackend.clear`."""
        with self._asking():
            left = [int(number) for number in self._redis.smembers(self._key("drafts"))]
        for number in left:
            self.drop(number)

    def get(self, kind: str, ids: Sequence[str], version: int | None) -> tuple[int, list[bytes | None]]:
        """See `StoreBackend.get`: pointer, seal and records are read in one transaction, so they belong together."""
        while True:
            chosen = version or self._published
            begin = self._key(chosen, kind, "")
            keys = [self._key("state"), self._key(chosen, "sealed"), *(begin + name for name in ids)]
            with self._asking():
                raw, sealed, *records = self._redis.mget(keys)
            if version is None and raw != self._raw:
                self._published = StoreState.of(json.loads(raw) if raw else None, self.place).published
                self._raw = raw
                continue
            if not chosen:
                raise UserError(f"`{self.place}` has no published version. Export embeddings into it, or name another.")
            if sealed is None:
                there = ", ".join(map(str, self.versions())) or "none"
                raise UserError(
                    f"`{self.place}` has no version {chosen}: it was removed, or Redis has lost it. There: {there}."
                )
            return chosen, records

    def scan(self, version: int, kind: str, size: int) -> Iterator[Records]:
        """See `StoreBackend.scan`."""
        begin, listed, at = self._key(version, kind, ""), self._key(version, "ids", kind), 0
        waiting: list[str] = []
        while True:
            with self._asking():
                parts = self._redis.lrange(listed, at, at + 9)
            at += len(parts)
            waiting += [name for part in parts for name in json.loads(part)]
            while len(waiting) >= size or (waiting and not parts):
                ids, waiting = waiting[:size], waiting[size:]
                with self._asking():
                    records = self._redis.mget([begin + name for name in ids])
                there = [(name, record) for name, record in zip(ids, records, strict=True) if record is not None]
                yield [name for name, _ in there], [record for _, record in there]
            if not parts:
                return

    def count(self, version: int, kind: str) -> int:
        """See `StoreBackend.count`; it looks for every entry, because an evicted one leaves no trace."""
        begin, listed, total = self._key(version, kind, ""), self._key(version, "ids", kind), 0
        with self._asking():
            for at in range(self._redis.llen(listed)):
                ids = json.loads(self._redis.lindex(listed, at))
                total += self._redis.exists(*(begin + name for name in ids))
        return total

    def update(self, version: int, kind: str, ids: Sequence[str], records: Sequence[bytes], position: str) -> None:
        """See `StoreBackend.update`."""
        pairs = [value for pair in zip(ids, records, strict=True) for value in pair]
        with self._asking():
            done = self._redis.eval(_UPDATE, 0, self._key(version, ""), kind, position, *pairs)
        if not done:
            raise UserError(f"`{self.place}` has no version {version} any more. Follow the published one.")

    def changes(self, version: int, kind: str, since: int) -> tuple[int, list[str]]:
        """See `StoreBackend.changes`."""
        with self._asking():
            found = self._redis.lrange(self._key(version, "changes", kind), since, -1)
        return since + len(found), [name.decode() for name in found]

    def position(self, version: int) -> str:
        """See `StoreBackend.position`."""
        with self._asking():
            return (self._redis.get(self._key(version, "position")) or b"").decode()

    def check(self, version: int) -> list[str]:
        """See `StoreBackend.check`."""
        manifest = find_version(self, version)
        if manifest is None:
            return [f"`{self.place}` has no version {version}. There: {self.versions()}."]
        with self._asking():
            lacking = self._lacking(manifest)
        return [f"version {version} must be complete. Received: {one}." for one in lacking]

    def close(self) -> None:
        """See `StoreBackend.close`."""
        self._redis.close()

    def _lacking(self, manifest: VersionManifest) -> list[str]:
        return [
            f"{stored:,} of {written:,} entries of kind `{kind}`"
            for kind, stored, written in missing_entries(self, manifest)
        ]

    def _key(self, *parts: object) -> str:
        first, *rest = parts
        begin = f"v{first}" if isinstance(first, int) else str(first)
        return self.prefix + ":".join([begin, *map(str, rest)])

    @contextlib.contextmanager
    def _asking(self) -> Iterator[None]:
        try:
            yield
        except self._faults as error:
            raise UserError(
                f"Redis at `{self.place}` failed: {error}. The published version is unchanged. Give Redis "
                "memory, or start it, and run the same command again."
            ) from error
