"""Replicas on one Redis: changes of items and releases at one of them are everywhere within a second."""

import contextlib
import time
from collections import Counter
from functools import partial

import numpy as np
import pytest
from catalogue_oracle import CatalogueClient
from changing_toy import LIKE, LIMIT, QUERY, code, in_threads, released, replica, write_releases
from fastapi.testclient import TestClient
from redis_process import REDIS, RedisProcess

from unified_ranker.events.open_histories import open_history_store
from unified_ranker.serving.service.agreed_releases import AgreedReleases, release_to_start, write_agreed

pytestmark = pytest.mark.skipif(
    REDIS is None, reason="there is no redis-server on this machine; apt install redis-server"
)
PATIENCE = 20.0
"""Seconds until others must know of a change, on a machine as busy as one of tests may be."""
BODY = {"user_id": "ann", "task": "search", "query": QUERY, "limit": LIMIT}


@pytest.fixture(scope="module")
def redis(tmp_path_factory):
    server = RedisProcess(tmp_path_factory.mktemp("redis"))
    yield server
    server.kill()


@pytest.fixture(scope="module")
def releases(tmp_path_factory):
    return write_releases(tmp_path_factory.mktemp("replicas"), 3)


@pytest.fixture
def opened(redis, tmp_path):
    """Opens the store that the replicas of a test share."""
    with contextlib.ExitStack() as stack:

        def open_once():
            return stack.enter_context(contextlib.closing(open_history_store(redis.url(f"{tmp_path.name}:"))))

        yield open_once


@pytest.fixture
def two(releases, opened):
    with replica(releases, opened(), follows=True) as one, replica(releases, opened(), follows=True) as other:
        yield one, other


def client_of(replicas, items, patience=PATIENCE):
    return CatalogueClient([TestClient(one.app) for one in replicas], items, patience=patience)


def eventually(true):
    until = time.monotonic() + PATIENCE
    while not true() and time.monotonic() < until:
        time.sleep(0.02)
    assert true()


def versions(one):
    return {label: engine.release.version for label, engine in one.service.engines.items()}


def work(client, seed):
    """Change items at either replica, in turns, and look at both."""
    numbers = np.random.default_rng(seed)
    items = list(client.items)
    for n in range(25):
        item, kind, at = str(numbers.choice(items)), numbers.random(), int(numbers.integers(2))
        if kind < 0.4:
            client.put(item, {"title": f"{item} {n}", "code": code(numbers)}, at)
        elif kind < 0.6:
            client.patch(item, [{"available": n % 4 == 0}, {"title": f"patched {n}"}][n % 2], at)
        elif kind < 0.9:
            client.delete(item, at)
        else:
            client.engage(f"u{seed}", item, LIKE, at)
        for number in range(2):
            client.look(BODY | {"user_id": f"u{seed}", "task": "home_feed"}, excluding=True, replica=number)
            client.get(item, number)


def test_changes_at_one_replica_are_known_to_the_other(two):
    clients = [client_of(two, {f"i{n}": [released(n)], f"new{n}": [None]}) for n in range(3)]
    in_threads(*(partial(work, client, seed) for seed, client in enumerate(clients)))
    assert [wrong for client in clients for wrong in client.wrong] == []
    done = sum((client.counts for client in clients), Counter())
    assert all(done[f"{change} items 200"] for change in ("PUT", "PATCH", "DELETE")), done


def test_the_answering_replica_needs_no_patience(two):
    client = client_of(two, {"i0": [released(0)]}, patience=0.0)
    for n in range(5):
        client.put("i0", {"title": f"One {n}", "code": "1,2,3"})
        client.look(BODY)
        client.patch("i0", {"title": f"Two {n}"}, replica=1)
        client.look(BODY, replica=1)
    assert client.wrong == []


def test_replicas_that_change_one_item_at_once_end_with_the_same(two, opened):
    numbers = np.random.default_rng(0)
    codes = [code(numbers) for _ in range(40)]

    def change(one, name):
        http = TestClient(one.app)
        for n in range(20):
            http.put("/v1/items/x", json={"title": f"{name} {n}", "code": codes[n]})
            http.patch("/v1/items/x", json={f"{'title' if n % 2 else 'countries'}": f"{name} {n}" if n % 2 else ["DE"]})
            if n % 5 == 4:
                http.delete("/v1/items/x")

    in_threads(*(partial(change, one, name) for one, name in zip(two, "ab", strict=True)))
    (stored,) = opened().item_changes()

    def held(one):
        one.live.follow()
        item = one.service.release.live.changes["x"]
        return item and (item.title, item.countries)

    right = stored.fields and (stored.fields["title"], tuple(stored.fields.get("countries", ())))
    assert held(two[0]) == held(two[1]) == right


def test_a_release_that_is_loaded_at_one_replica_answers_at_all(two):
    one, other = two
    one.releases.load(2)
    eventually(lambda: versions(other) == {"stable": 2})
    other.releases.load(3, "canary", 0.3)
    eventually(lambda: versions(one) == {"stable": 2, "canary": 3})
    users = [f"u{n}" for n in range(100)]
    labels = [[part.service.engine_for(user).label for user in users] for part in two]
    assert labels[0] == labels[1], "a user has the same release at every replica"
    one.releases.load(3, "canary", 0.9)
    eventually(lambda: other.service.split == one.service.split or versions(other)["canary"] == 3)
    other.releases.roll_back("canary")
    eventually(lambda: versions(one) == {"stable": 2})
    other.releases.roll_back()
    eventually(lambda: versions(one) == {"stable": 1})


def test_changes_of_releases_at_several_replicas_at_once_end_with_the_same(two, opened):
    def change(one, seed):
        numbers = np.random.default_rng(seed)
        for _ in range(6):
            with contextlib.suppress(Exception):
                kind = numbers.integers(4)
                if kind == 0:
                    one.releases.roll_back()
                elif kind == 1:
                    one.releases.roll_back("canary")
                else:
                    one.releases.load(int(numbers.integers(1, 4)), ["stable", "canary"][kind - 2], 0.5)

    in_threads(*(partial(change, one, seed) for seed, one in enumerate(two)))
    agreed = opened().agreed("releases")[1]
    right = {"stable": agreed["stable"]} | ({"canary": agreed["canary"]} if agreed["canary"] else {})
    for one in two:
        eventually(lambda one=one: versions(one) == right)


def test_a_release_that_one_replica_lacks_is_said_and_tried_again(releases, opened, tmp_path):
    here = write_releases(tmp_path, 1)
    with replica(releases, opened()) as one, replica(here, opened()) as other:
        one.releases.load(2)
        other.releases.follow()
        assert versions(other) == {"stable": 1}
        text = other.service.metrics.text().decode()
        assert 'unified_ranker_agreed_release{label="stable"} 2.0' in text
        assert 'unified_ranker_release{label="stable"} 1.0' in text
        assert 'unified_ranker_reloads_total{outcome="refused"} 1.0' in text
        write_releases(tmp_path, 1)
        other.releases.follow()
        assert versions(other) == {"stable": 1}, "not at every look"
        other.releases._again = 0.0
        other.releases.follow()
        assert versions(other) == {"stable": 2}


def test_a_release_that_is_refused_where_it_is_loaded_reaches_no_other(releases, opened, tmp_path):
    here = write_releases(tmp_path, 2)
    (here / "2" / "items" / "vectors.parquet").write_bytes(b"damaged")
    with replica(here, opened()) as one, replica(releases, opened()) as other:
        with pytest.raises(Exception, match=r"2|damaged"):
            one.releases.load(2)
        other.releases.follow()
        assert (versions(one), versions(other)) == ({"stable": 1}, {"stable": 1})


def test_a_replica_that_starts_answers_like_the_others(releases, opened, tmp_path):
    store = opened()
    latest = tmp_path / "latest"
    latest.symlink_to(releases / "3")
    assert release_to_start(latest, store) == (releases / "3", False)
    with replica(releases, opened(), version=3) as one:
        one.releases.load(2)
        one.releases.load(1)
        one.releases.roll_back()
    there = releases / "latest"
    there.unlink(missing_ok=True)
    there.symlink_to("3")
    assert release_to_start(there, store) == (releases / "2", True)
    assert release_to_start(releases / "3", store) == (releases / "3", False), "named by its number"
    with replica(releases, opened(), version=2, joins=True) as again:
        assert again.releases.roll_back().release == 3, "what was before is known to all"
    write_agreed(store, AgreedReleases(stable=2, newest=2))
    assert release_to_start(there, store) == (releases / "3", False), "release 3 came later"


def test_a_replica_that_is_named_a_release_keeps_it_until_the_next_is_agreed_on(releases, opened):
    with replica(releases, opened()) as one:
        one.releases.load(2)
        with replica(releases, opened(), version=3) as other:
            other.releases.follow()
            assert versions(other) == {"stable": 3}
            one.releases.load(1)
            other.releases.follow()
            assert versions(other) == {"stable": 1}
