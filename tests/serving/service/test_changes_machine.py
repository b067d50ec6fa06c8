"""State machine of a service under change: every operation, in any order, on every rung, against a plain dictionary."""

import contextlib
import shutil
import tempfile
from pathlib import Path

import numpy as np
from catalogue_oracle import CatalogueClient
from changing_toy import LIKE, LIMIT, QUERY, RUNGS, code, released, replica, write_releases
from fastapi.testclient import TestClient
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from unified_ranker.events.lmdb_histories import LmdbStore

ITEMS = ["i0", "i1", "i58", "new-1", "new-2"]
"""Three items of the releases, one of them with a date, and two that they lack."""
items = st.sampled_from(ITEMS)
users = st.sampled_from(["", "ann", "bob"])
versions = st.sampled_from([1, 2])
vectors = st.integers(0, 9).map(lambda seed: code(np.random.default_rng(seed)))
countries = st.sampled_from([None, ["DE"], ["DE", "FR"]])
fields = {
    "title": st.sampled_from(["One", "Other", None]),
    "created_at": st.sampled_from([None, 1_700_000_000]),
    "countries": countries,
    "available": st.sampled_from([None, True, False]),
}
patches = st.fixed_dictionaries({}, optional={**fields, "code": vectors})


class ServiceUnderChange(RuleBasedStateMachine):
    @initialize()
    def start(self):
        self.root = Path(tempfile.mkdtemp())
        self.releases = write_releases(self.root)
        dated = {"created_at": 1}
        self.client = CatalogueClient([None], {i: [None] for i in ITEMS})
        self.client.items |= {f"i{n}": [released(n) | (dated if n == 58 else {})] for n in (0, 1, 58)}
        self.kept = contextlib.ExitStack()
        self.open()

    def open(self):
        store = self.kept.enter_context(contextlib.closing(LmdbStore(self.root / "store")))
        store.serve()
        self.changing = self.kept.enter_context(replica(self.releases, store))
        self.client.http = [TestClient(self.changing.app)]

    def teardown(self):
        if hasattr(self, "kept"):
            self.kept.close()
            shutil.rmtree(self.root)

    # --- changes of items and users ---------------------------------------------------------------------------------

    @rule(item=items, code=vectors, given=st.fixed_dictionaries(fields))
    def put(self, item, code, given):
        self.client.put(item, {**given, "code": code})

    @rule(item=items, patch=patches)
    def patch(self, item, patch):
        self.client.patch(item, patch)

    @rule(item=items)
    def delete(self, item):
        self.client.delete(item)

    @rule(user=st.sampled_from(["ann", "bob"]), item=items)
    def engage(self, user, item):
        self.client.engage(user, item, LIKE)

    # --- changes of releases ----------------------------------------------------------------------------------------

    @rule(version=versions, label=st.sampled_from(["stable", "canary"]), share=st.sampled_from([0.0, 0.5, 1.0]))
    def reload(self, version, label, share):
        body = {"release": version, "label": label, "share": share}
        assert self.client.http[0].post("/v1/admin/reload", json=body).status_code == 200

    @rule(label=st.sampled_from(["stable", "canary"]))
    def rollback(self, label):
        assert self.client.http[0].post("/v1/admin/rollback", json={"label": label}).status_code in (200, 422)

    @rule()
    def restart(self):
        self.kept.close()
        self.open()

    # --- looks ------------------------------------------------------------------------------------------------------

    @rule(
        able=st.sampled_from(RUNGS),
        user=users,
        task=st.sampled_from(["search", "home_feed"]),
        country=st.sampled_from([None, "DE", "GB"]),
        source=st.one_of(st.none(), items),
        item=items,
    )
    def look(self, able, user, task, country, source, item):
        self.changing.able(able)
        body = {"user_id": user or None, "task": task, "query": QUERY, "limit": LIMIT, "country": country}
        self.client.look({**body, "source_item_id": source}, excluding=task == "home_feed")
        self.client.get(item)
        self.changing.able("full")

    @invariant()
    def nothing_is_wrong(self):
        if hasattr(self, "client"):
            assert self.client.wrong == []


ServiceUnderChange.TestCase.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
TestServiceUnderChange = ServiceUnderChange.TestCase
