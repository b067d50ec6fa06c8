"""Items that are changed while serving are items like all others: found by their present titles, and imputed from them.

The model's weights are random, and its blend listens to titles alone: who is first says whose title it is.
"""

from dataclasses import replace

import numpy as np
import pytest
import tiny_world
from random_model import Project, project_of

from unified_ranker.config import Config
from unified_ranker.core.request import History, Request
from unified_ranker.release.indexes.exact import ExactSearch
from unified_ranker.serving.answering.opened_release import OpenedRelease
from unified_ranker.serving.retrieval.rebuilding import bake
from unified_ranker.serving.service.live_items import LiveItems
from unified_ranker.serving.service.ranking_service import RankingService
from unified_ranker.serving.service.served_release import parts_of
from unified_ranker.tasks.blend import FittedBlend

pytestmark = pytest.mark.xdist_group("tiny_model")
NOW = 1_900_000_000
NEW = {"price": 3.0, "categories": ["war"]}


@pytest.fixture(scope="module")
def project() -> Project:
    fresh = {"quality": {"freshness": {"type": "freshness", "scale_days": 5}}}
    tree = tiny_world.config(item=fresh, home_feed={"quality_weights": {"freshness": 0.05}}).to_json()
    serving = {"candidates": 6, "limit": 4}
    tasks = {name: {**task, "serving": serving} for name, task in tree["tasks"].items()}
    signals = [{"type": "lexical", "candidates": 2}, {"type": "repeats", "candidates": 2}]
    ranker = {"hidden": 8, "experts": 2, "signals": signals}
    config = Config.model_validate({**tree, "tasks": tasks, "towers": {**tree["towers"], "ranker": ranker}})
    made = project_of("changed items", tiny_world.tables(), config)
    lexical = np.float32([channel.startswith("lexical") for channel in made.model.blend.channels])
    assert lexical.sum() == 3
    for number, task in enumerate(config.tasks, start=1):
        made.model.blend.assign({number: FittedBlend(task, 100, 1.0, lexical, {})})
    return made


@pytest.fixture(params=["titled", "earlier"])
def service(project, request):
    """The service, over a model of this version, or of one whose ranking takes no titles."""
    release = OpenedRelease.open(project.release)
    signatures = tuple(name for name in project.signatures if request.param == "titled" or name != "rank_titled")
    release = replace(release, manifest=release.manifest.model_copy(update={"signatures": signatures}))
    return RankingService(release, ExactSearch(release.vectors), project, deadline=60)


@pytest.fixture
def live(service):
    return LiveItems(service)


def titled(service):
    return "rank_titled" in service.release.manifest.signatures


def ask(service, task="search", **fields):
    made = service.recommend(Request("nobody", task, timestamp=NOW, **fields))
    assert made.degraded is None
    return made.answer


def first(service, query):
    return ask(service, query=query).items[0].item_id


def rebuilt(service):
    engine = service.engines["stable"]
    baked = bake(engine.release)
    engine.parts = parts_of(baked, ExactSearch(baked.vectors))


def test_a_new_item_is_first_for_its_own_title(service, live):
    """Also by words that no released title has, and behind few candidates of retrieval."""
    titles = {
        f"new{n}": f"{word} Zeppelin of the {rest}"
        for n, (word, rest) in enumerate([("Violet", "Void"), ("Red", "Red Star")])
    }
    for item, title in titles.items():
        live.put(item, {**NEW, "title": title})
    for _ in range(2):
        for item, title in titles.items():
            found = [shown.item_id for shown in ask(service, query=title).items]
            assert item in found, "proposed for its words, whatever retrieval finds"
            assert found[0] == item or not titled(service)
        rebuilt(service)


def test_a_renamed_item_is_found_by_its_new_title_and_no_more_by_its_old_one(service, live):
    item, old = str(service.release.item_ids[3]), str(service.release.titles[3])
    live.patch(item, {"title": "Quixotic Quokka"})
    for _ in range(2):
        assert ask(service, query="quixotic quokka").items[0].title == "Quixotic Quokka" or not titled(service)
        assert "Quixotic Quokka" in [shown.title for shown in ask(service, query="quixotic quokka").items]
        if titled(service):
            assert first(service, old) != item
        rebuilt(service)


def test_an_item_that_is_put_as_it_was_changes_no_answer(service, live):
    """What is read of a changed item is what is read of a released one: vector, words and pairs.

    All items are candidates, because scores of the blend depend on who the others are.
    """
    if not titled(service):
        pytest.skip("an earlier model reads released titles")
    titles = [str(title) for title in service.release.titles]
    requests = [{"query": title} for title in titles[:8]]
    requests += [{"task": "more_like_this", "source_item_id": str(item)} for item in service.release.item_ids[:8]]
    requests = [{**fields, "limit": 100} for fields in requests]
    before = [ask(service, **fields) for fields in requests]
    for item, title in zip(service.release.item_ids[:12], titles, strict=False):
        live.patch(str(item), {"title": title, "price": None})
        live.patch(str(item), service.release.released_fields([str(item)]).by_item[str(item)])
    for fields, was in zip(requests, before, strict=True):
        now = ask(service, **fields)
        assert now.imputed_query == was.imputed_query
        assert [i.score for i in now.items] == pytest.approx([i.score for i in was.items], abs=1e-4)


def test_a_source_item_that_was_changed_imputes_its_present_title(service, live):
    item = str(service.release.item_ids[3])
    live.put("new", {**NEW, "title": "Violet Zeppelin"})
    live.patch(item, {"title": "Quixotic Quokka"})
    past = History.of([{"item_id": "new", "event_type": "click", "task": "search", "timestamp": NOW - 5}])
    for _ in range(2):
        assert ask(service, "more_like_this", source_item_id="new").imputed_query == "Violet Zeppelin"
        assert ask(service, "more_like_this", source_item_id=item).imputed_query == "Quixotic Quokka"
        assert ask(service, "more_like_this", history=past).imputed_query == "Violet Zeppelin"
        assert ask(service, "more_like_this", source_item_id="new", query="typed").imputed_query == "typed"
        assert ask(service, "search", source_item_id="new").imputed_query == ""
        rebuilt(service)
    live.remove("new")
    assert ask(service, "more_like_this", source_item_id="new").imputed_query == ""
