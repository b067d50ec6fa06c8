"""The shared store where Redis is full, evicts, is killed in the middle of a publish, or forgets."""

import pytest
import redis
from redis_process import REDIS, RedisProcess
from store_toy import WIDTH, export, names, notes, unit

from unified_ranker.core.errors import UserError
from unified_ranker.store import open_store

pytestmark = pytest.mark.skipif(REDIS is None, reason="there is no redis-server on this machine")


@pytest.fixture
def server(tmp_path):
    running = RedisProcess(tmp_path)
    yield running
    running.kill()


@pytest.fixture
def admin(server):
    with redis.Redis.from_url(server.url()) as client:
        yield client


@pytest.fixture
def store(server):
    with open_store(server.url("vectors:")) as opened:
        yield opened


def test_a_full_redis_leaves_the_published_version_and_the_same_command_succeeds_later(store, admin):
    export(store, unit(20))
    admin.config_set("maxmemory", admin.info("memory")["used_memory"] + 100_000)
    with pytest.raises(UserError, match=r"failed: .*memory.*The published version is unchanged"):
        export(store, unit(5000))
    assert store.get("item", "item-0").version == 1
    admin.config_set("maxmemory", 0)
    export(store, unit(5000))
    assert store.get("item", "item-4999") is not None
    assert [version.number for version in store.versions()] == [1, store.version]


def test_a_redis_that_may_evict_is_refused_by_writers(store, admin):
    export(store, unit(20))
    admin.config_set("maxmemory", 10**9)
    admin.config_set("maxmemory-policy", "allkeys-lru")
    with pytest.raises(UserError, match=r"must not evict.*allkeys-lru.*Set `maxmemory-policy noeviction`"):
        export(store, unit(20))
    assert store.get("item", "item-0").version == 1


def test_entries_that_redis_dropped_are_missed_before_publishing(store, admin):
    """What eviction does to one key, done to one key: a policy that evicts at random takes what is published, too."""
    export(store, unit(20))
    with store.writing():
        draft = store.begin({"item": WIDTH})
        draft.put_many("item", names(20), unit(20), 1, 7)
        admin.delete(f"vectors:v{draft.version}:item:item-7")
        with pytest.raises(UserError, match=r"lost entries; 19 of 20 entries of kind `item`"):
            draft.seal(notes(draft.version))
        assert store.version == 1
    assert export(store, unit(20)) > 1


def test_a_published_version_that_lost_entries_fails_its_check(store, admin):
    export(store, unit(20))
    assert store.backend.check(1) == []
    admin.delete("vectors:v1:item:item-7")
    assert store.backend.check(1) == ["version 1 must be complete. Received: 19 of 20 entries of kind `item`."]


def test_redis_that_is_killed_in_the_middle_of_a_publish(store, server):
    export(store, unit(20))
    with store.writing():
        draft = store.begin({"item": WIDTH})
        draft.put_many("item", names(20)[:10], unit(20)[:10], 1, 7)
        server.kill()
        with pytest.raises(UserError, match=r"failed.*run the same command again"):
            draft.put_many("item", names(20)[10:], unit(20)[10:], 1, 7)
        server.start()
        draft.put_many("item", names(20)[10:], unit(20)[10:], 1, 7)
        with pytest.raises(UserError, match=r"was restarted meanwhile"):
            draft.seal(notes(draft.version))
        # The lock of the run before keeps nobody out, and whoever had it may not switch any more.
        lost = pytest.raises(UserError, match=r"the right to write .* was lost")
        with open_store(server.url("vectors:")) as other, other.writing(), lost:
            store.backend.switch({})
        assert store.get("item", "item-0").version == 1
    second = export(store, unit(20))
    assert store.get("item", "item-0").version == second
    assert [version.number for version in store.versions()] == [1, second]


def test_redis_that_kept_nothing_has_no_published_version(server, store, admin):
    export(store, unit(20))
    assert store.get("item", "item-0").version == 1
    admin.flushall()
    with pytest.raises(UserError, match="has no published version"):
        store.get("item", "item-0")


def test_stores_of_two_prefixes_do_not_meet(server):
    with open_store(server.url("a:")) as one, open_store(server.url("b:")) as other:
        export(one, unit(20))
        assert other.versions() == []
        with other.writing(), one.writing():
            pass


def test_a_dropped_version_leaves_no_key(store, admin):
    for _ in range(3):
        export(store, unit(20), unit(5), reference=2, keep=0)
    store.put_many("item", ["late"], unit(1), 9)
    export(store, unit(20), unit(5), reference=2, keep=0)
    left = {key.decode().split(":")[1] for key in admin.keys("vectors:v[0-9]*")}
    assert left == {"v2", f"v{store.version}"}
