"""Live items, filters, health and rebuild: what retrieval gives against a brute-force search item by item."""

from dataclasses import replace

import hypothesis
import numpy as np
import pandas as pd
import pytest
from hypothesis import strategies as st
from service_toy import IDS, ITEMS, RELEASE, VECTORS, ToyModel, service

from unified_ranker.config import ScannIndex
from unified_ranker.core.request import Request
from unified_ranker.release.index import ExactSearch, Index, build_index, load_index
from unified_ranker.serving.retrieval.filters import filters_of
from unified_ranker.serving.retrieval.health import recall_of
from unified_ranker.serving.retrieval.overlay import LiveItem
from unified_ranker.serving.retrieval.rebuilding import bake
from unified_ranker.serving.retrieval.retriever import Retriever
from unified_ranker.serving.service.index_keeper import IndexHealth, IndexKeeper

COUNTRIES = ("DE", "FR", "JP")
UNDATED = replace(RELEASE, created_at=np.full(ITEMS, np.iinfo(np.int64).min))
REQUEST = Request("u", "search", limit=5)  # six candidates


def catalogue(countries, available):
    return filters_of(pd.DataFrame({"countries": countries, "available": available}))


def brute(release, query, country=""):
    """Every item that may answer with its score, best first, one by one."""
    live = release.live.changes if release.live else {}
    found = {}
    for place, item in enumerate(release.item_ids):
        filters = release.filters
        hidden = filters is not None and filters.hidden[place]
        offered = [] if filters is None else [c for c, mask in filters.offered.items() if mask[place]]
        if item not in live and not hidden and (not country or not offered or country in offered):
            found[item] = float(release.vectors[place] @ query)
    for item, change in live.items():
        if (
            change is not None
            and change.available
            and (not country or not change.countries or country in change.countries)
        ):
            found[item] = float(change.vector @ query)
    return sorted(found, key=lambda item: -found[item])


def retrieved(release, query, country="", index=None):
    request = replace(REQUEST, country=country)
    positions, scores = Retriever(release, index).scored(np.float32([query]), request)
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
    filters = catalogue([sorted(c) for c in restricted], [n not in hidden for n in range(ITEMS)])
    release = replace(UNDATED, filters=filters).with_changes(made)
    query = np.float32([0.3, -1.1, 0.7])
    right = brute(release, query, country)[:6]
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
    filters = catalogue([["DE"] if n % 2 else ["FR"] for n in range(ITEMS)], [True] * ITEMS)
    release = replace(UNDATED, filters=filters)
    query = np.float32([1, 0, 0])
    assert retrieved(release, query, "DE", Short()) == brute(release, query, "DE")[:6]


def test_no_filters_are_made_of_a_catalogue_without_the_columns():
    assert filters_of(pd.DataFrame({"item_id": ["a"]})) is None
    filters = filters_of(pd.DataFrame({"countries": ["DE|FR", None, ""]}))
    assert filters.blocked("DE")[1] == 0
    assert filters.blocked("JP")[0].tolist() == [True, False, False]


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
        created_at=np.full(items, np.iinfo(np.int64).min),
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
    assert now.foreign_at(np.array([now.place["best"], 0])).tolist() == [True, False]
    assert recall_of(engine.parts.index, now.vectors, list(engine.queries)) > 0.95
    assert retrieved(now, np.float32([1, 1, 1]), index=engine.parts.index)[0] == "best"
    keeper.look()
    assert "index_recall" in ranker.metrics.text().decode()
