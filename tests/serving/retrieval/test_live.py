"""Live items, filters, health and rebuild: what retrieval gives against a brute-force search item by item."""

from dataclasses import replace

import hypothesis
import numpy as np
import pytest
from candidate_oracle import Shown, may_answer
from hypothesis import strategies as st
from service_toy import IDS, ITEMS, RELEASE, VECTORS, ToyModel, service

from unified_ranker.core.offers import Offers
from unified_ranker.core.request import Request
from unified_ranker.core.times import NEVER
from unified_ranker.release.index import build_index, load_index
from unified_ranker.release.indexes.base import Index
from unified_ranker.release.indexes.exact import ExactSearch
from unified_ranker.release.indexes.scann import ScannIndex
from unified_ranker.serving.answering.request_rule import RequestRule
from unified_ranker.serving.retrieval.health import recall_of
from unified_ranker.serving.retrieval.overlay import LiveItem
from unified_ranker.serving.retrieval.rebuilding import bake
from unified_ranker.serving.retrieval.retriever import Retriever
from unified_ranker.serving.service.index_keeper import IndexHealth, IndexKeeper

COUNTRIES = ("DE", "FR", "JP")
UNDATED = replace(RELEASE, created_at=np.full(ITEMS, NEVER))
REQUEST = Request("u", "search", limit=5)  # six candidates
TASK = RELEASE.config.tasks["search"]


def brute(release, shown, query, country=""):
    """Every item that may answer with its score, best first, one by one; `shown` is the release's catalogue."""
    live = release.live.changes if release.live else {}
    vectors = dict(zip(release.item_ids, release.vectors, strict=True))
    now = {item.item_id: item for item in shown} | {
        name: change and Shown(name, None, change.countries, change.available) for name, change in live.items()
    }
    vectors |= {name: change.vector for name, change in live.items() if change}
    there = may_answer([item for item in now.values() if item], replace(REQUEST, country=country, timestamp=1), TASK)
    return sorted(there, key=lambda name: -float(vectors[name] @ query))


def offers(shown):
    return Offers.of([item.available for item in shown], [item.countries for item in shown])


def retrieved(release, query, country="", index=None):
    request = replace(REQUEST, country=country)
    positions, scores = Retriever(release, index).scored(np.float32([query]), RequestRule(release, request))
    assert (np.diff(scores) <= 1e-6).all()
    return list(release.ids_at(positions))


changes = st.dictionaries(
    st.one_of(st.sampled_from(list(IDS)), st.sampled_from(["new1", "new2", "new3"])),
    st.one_of(
        st.none(),
        st.tuples(
            st.lists(st.floats(-3, 3, width=16), min_size=3, max_size=3),
            st.sets(st.sampled_from(COUNTRIES)),
            st.booleans(),
        ),
    ),
    max_size=12,
)


@hypothesis.given(
    changes=changes,
    restricted=st.lists(st.sets(st.sampled_from(COUNTRIES)), min_size=ITEMS, max_size=ITEMS),
    hidden=st.sets(st.integers(0, ITEMS - 1)),
    country=st.sampled_from(["", "DE", "FR", "XX"]),
    through_index=st.booleans(),
)
def test_filters_and_live_items_give_what_brute_force_gives(changes, restricted, hidden, country, through_index):
    made = {
        item: None
        if change is None
        else LiveItem(item, np.float32(change[0]), countries=tuple(change[1]), available=change[2])
        for item, change in changes.items()
    }
    shown = [Shown(IDS[n], None, sorted(restricted[n]), n not in hidden) for n in range(ITEMS)]
    release = replace(UNDATED, offers=offers(shown)).with_changes(made)
    query = np.float32([0.3, -1.1, 0.7])
    right = brute(release, shown, query, country)[:6]
    index = ExactSearch(release.vectors) if through_index else None
    found = retrieved(release, query, country, index)
    assert len(found) == len(right), "never fewer than the catalogue has"
    scores = {item: i for i, item in enumerate(right)}
    assert set(found) == set(right) or len(set(found) - set(scores)) <= 1  # a tie at the end may go either way
    baked = bake(release)
    assert baked.count == release.count
    assert set(retrieved(baked, query, country)) == set(retrieved(release, query, country))


class Short(Index):
    """An index that finds little."""

    def search(self, queries, k):
        found, scores = ExactSearch(VECTORS).search(queries, k)
        return found, np.where(np.arange(found.shape[1]) < 3, scores, np.nan)


def test_exact_search_makes_up_for_an_index_that_filters_leave_too_few():
    shown = [Shown(IDS[n], None, ["DE"] if n % 2 else ["FR"]) for n in range(ITEMS)]
    query = np.float32([1, 0, 0])
    found = retrieved(replace(UNDATED, offers=offers(shown)), query, "DE", Short())
    assert found == brute(UNDATED, shown, query, "DE")[:6]


def test_recall_is_the_share_that_exact_search_finds_too():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(3000, 3)).astype(np.float32)
    queries = [rng.normal(size=(1, 3)).astype(np.float32) for _ in range(5)]

    class Half(Index):
        def search(self, queries, k):
            found, scores = ExactSearch(vectors).search(queries, k)
            found[:, ::2] = (found[:, ::2] + 1) % len(vectors)
            return found, scores

    assert recall_of(Half(), vectors, queries) == pytest.approx(0.5, abs=0.1)
    assert recall_of(ExactSearch(vectors), vectors, queries) == 1.0
    assert recall_of(Half(), vectors, []) is None


def test_poor_index_is_built_again_with_the_changes_in_it_and_swapped(tmp_path):
    """The index knows a tenth of what exact search knows: the look sees it, and a process builds another."""
    rng = np.random.default_rng(1)
    items = 2000
    release = replace(
        UNDATED,
        item_ids=np.array([f"n{n}" for n in range(items)], object),
        vectors=rng.normal(size=(items, 3)).astype(np.float32),
        titles=np.array([""] * items, object),
        created_at=np.full(items, NEVER),
        offers=Offers.everywhere(items),
        config=RELEASE.config.model_copy(
            update={
                "export": RELEASE.config.export.model_copy(
                    update={
                        "embeddings": RELEASE.config.export.embeddings.model_copy(
                            update={"index": ScannIndex(type="scann", leaves=10, leaves_to_search=10)}
                        )
                    }
                )
            }
        ),
    )
    build_index(tmp_path, release.item_ids, release.vectors, ScannIndex(type="scann", leaves=100, leaves_to_search=1))
    poor = load_index(tmp_path, release.vectors)
    ranker = service(ToyModel())
    engine = ranker.engines["stable"]
    from unified_ranker.serving.service.served_release import parts_of

    best = LiveItem("best", np.float32([9, 9, 9]), title="Best")
    engine.parts = parts_of(release.with_changes({"best": best, "n7": None}), poor)
    engine.queries.extend(rng.normal(size=(1, 3)).astype(np.float32) for _ in range(8))
    keeper = IndexKeeper(ranker, IndexHealth(least_recall=0.9))
    keeper.look()
    text = ranker.metrics.text().decode()
    assert 'unified_ranker_index_rebuilds_total{outcome="swapped"} 1.0' in text
    now = engine.release
    assert now.live is None
    assert now.count == items
    assert not now.knows("n7")
    assert now.foreign_at(np.array([now.row_of["best"], 0])).tolist() == [True, False]
    assert recall_of(engine.parts.index, now.vectors, list(engine.queries)) > 0.95
    assert retrieved(now, np.float32([1, 1, 1]), index=engine.parts.index)[0] == "best"
    keeper.look()
    assert "index_recall" in ranker.metrics.text().decode()
