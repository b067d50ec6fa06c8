"""The store of events in a real Redis: one that is gone, full, would evict, or holds what is damaged."""

import contextlib

import pytest
import redis
from stored_events import event, held, logged

from unified_ranker.core.errors import UserError
from unified_ranker.events.base import StoreError
from unified_ranker.events.open_histories import open_history_store


def test_redis_that_is_gone_is_said_at_once_and_found_again(redis_process, tmp_path):
    store = open_history_store(redis_process.url(f"{tmp_path.name}:"))
    store.append([event()])
    redis_process.kill()
    with pytest.raises(StoreError, match="Redis does not answer"):
        store.append([event(item="lost")])
    with pytest.raises(StoreError, match="asked again"):
        store.before("u", 0)
    redis_process.start()
    store._down_until = 0.0
    assert store.before("u", 0).item_id.tolist() == ["i"], "its own log has what was acknowledged"
    store.close()


@contextlib.contextmanager
def maximum_memory(redis_process, policy, room=None):
    """A limit of memory, by default one that is full."""
    with redis.Redis.from_url(redis_process.url()) as admin:
        admin.config_set("maxmemory-policy", policy)
        admin.config_set("maxmemory", room or 1)
        yield
        admin.config_set("maxmemory", 0)
        admin.config_set("maxmemory-policy", "noeviction")


def test_a_full_redis_takes_no_writes_and_is_read(redis_process, tmp_path):
    store = open_history_store(redis_process.url(f"{tmp_path.name}:"))
    store.append([event()])
    store.put_item("x", {"title": "X"})
    with maximum_memory(redis_process, "noeviction"):
        for write in (
            lambda: store.append([event(item="lost", time=2000)]),
            lambda: store.put_item("y", {}),
            lambda: store.import_lines(logged(event(item="lost")), "log"),
        ):
            with pytest.raises(StoreError, match=r"Redis refuses: .*maxmemory"):
                write()
            with pytest.raises(StoreError, match="takes no writes; it is asked again"):
                write()
            assert store.before("u", 0).item_id.tolist() == ["i"]
            assert (len(store.since("")), store.users("", 9)) == (1, ["u"])
            assert held(store.item_changes()) == [("x", {"title": "X"}, False)]
            store.ping()
            store._full_until = 0.0
    assert store.append([event(item="later", time=2000)]) == 1
    store.close()


@pytest.mark.parametrize(
    ("policy", "room", "sound"),
    [
        ("allkeys-lru", 10**9, False), ("allkeys-random", 10**9, False), ("noeviction", 10**9, True),
        ("volatile-lru", 10**9, True), ("allkeys-lru", 0, True),
    ],
)  # fmt: skip
def test_a_redis_that_would_evict_histories_is_refused(redis_process, tmp_path, policy, room, sound):
    store = open_history_store(redis_process.url(f"{tmp_path.name}:"))
    with maximum_memory(redis_process, policy, room or "0"):
        if sound:
            store.ping()
        else:
            with pytest.raises(UserError, match=f"must not evict what the store keeps. Received: .*{policy}"):
                store.ping()
    store.close()


def test_a_follower_passes_a_damaged_record_of_the_stream(redis_process, tmp_path):
    prefix = f"{tmp_path.name}:"
    store = open_history_store(redis_process.url(prefix))
    with redis.Redis.from_url(redis_process.url()) as admin:
        for fields in ({"e": b"{"}, {"x": b"1"}, {"e": event(item="good").record()}, {"e": b"[]"}):
            admin.xadd(f"{prefix}events", fields)
    assert [one.item_id for _, one in store.since("", most=1)] == ["good"]
    store.close()
