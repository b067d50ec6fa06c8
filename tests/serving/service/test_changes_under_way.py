"""Changes of items while releases change: what was acknowledged is never undone, whatever else is under way."""

import contextlib
import threading
from functools import partial

import numpy as np
import pytest
from catalogue_oracle import CatalogueClient
from changing_toy import LIKE, LIMIT, QUERY, RUNGS, code, in_threads, released, replica, write_releases
from fastapi.testclient import TestClient

from unified_ranker.events.lmdb_histories import LmdbStore
from unified_ranker.serving.service.index_keeper import IndexKeeper

OPERATIONS = 150
CLIENTS = 4


@pytest.fixture(scope="module")
def releases(tmp_path_factory):
    return write_releases(tmp_path_factory.mktemp("changing"))


def work(client: CatalogueClient, seed: int, operations: int = OPERATIONS) -> None:
    """Change the items of a client in random order, and look after every change."""
    numbers = np.random.default_rng(seed)
    items = list(client.items)
    for n in range(operations):
        item, kind = str(numbers.choice(items)), numbers.random()
        if kind < 0.4:
            client.put(item, {"title": f"{item} {n}", "code": code(numbers)})
        elif kind < 0.6:
            some = {"available": bool(n % 2), "title": f"{item} {n}", "code": code(numbers), "countries": ["DE"]}
            name = list(some)[n // 2 % 4]
            client.patch(item, {name: some[name]})
        elif kind < 0.9:
            client.delete(item)
        else:
            client.engage(f"u{seed}", item, LIKE)
        country = str(numbers.choice(["DE", "FR"]))
        task = str(numbers.choice(["search", "home_feed"]))
        body = {"user_id": f"u{seed}", "task": task, "query": QUERY, "limit": LIMIT, "country": country}
        client.look(body, excluding=task == "home_feed")
        client.get(item)


def owned(number: int) -> dict[str, list]:
    """Items of the releases that one client changes, and new ones."""
    own = {f"i{n}": [released(n)] for n in range(number, 50, CLIENTS)}
    return own | {f"new-{number}-{n}": [None] for n in range(4)}


def test_nothing_that_was_acknowledged_is_undone_by_what_is_loaded_meanwhile(releases, tmp_path):
    """Reloads, rollbacks, canaries and rebuilds of the index, one after the other, while clients change items."""
    with contextlib.closing(LmdbStore(tmp_path)) as store, replica(releases, store) as changing:
        clients = [CatalogueClient([TestClient(changing.app)], owned(n)) for n in range(CLIENTS)]
        done = threading.Event()

        def change() -> None:
            keeper = IndexKeeper(changing.service)
            for turn in range(1000):
                if done.is_set():
                    return
                changing.releases.load(2)
                changing.releases.load(2, "canary", 0.5)
                if turn == 1:
                    keeper.rebuild(changing.service.engines["stable"])
                changing.releases.roll_back("canary")
                changing.releases.roll_back()

        def all_clients() -> None:
            try:
                in_threads(*(partial(work, client, n) for n, client in enumerate(clients)))
            finally:
                done.set()

        in_threads(change, all_clients)
        assert [wrong for client in clients for wrong in client.wrong] == []
        assert all(client.counts["DELETE items 200"] and client.counts["rung full"] for client in clients)
        # And after all of it, on every rung.
        for able in RUNGS:
            changing.able(able)
            for n, client in enumerate(clients):
                client.look({"user_id": f"u{n}", "task": "search", "query": QUERY, "limit": LIMIT})
        assert [wrong for client in clients for wrong in client.wrong] == []
