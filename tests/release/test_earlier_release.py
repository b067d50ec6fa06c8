"""A release of an earlier version of the engine still opens, verifies and answers as it did then.

The fixture is the project of `small_project.declarations()`, built by the code of commit 9015fc5, with the answers that
its `Recommender` gave there to requests of 2024-04-01, one a line.
"""

import json
import tarfile
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import pytest
from small_project import cli

from unified_ranker.core.request import Request
from unified_ranker.events.lmdb_histories import LmdbStore
from unified_ranker.release.index import load_index
from unified_ranker.release.layout import Layout
from unified_ranker.release.verify_release import verify_release
from unified_ranker.serving.answering.opened_release import OpenedRelease
from unified_ranker.serving.backends.in_process_model import InProcessModel
from unified_ranker.serving.service.open_service import import_project
from unified_ranker.serving.service.ranking_service import RankingService

pytestmark = pytest.mark.xdist_group("small_project")

ARCHIVE = Path(__file__).parents[1] / "fixtures" / "release_9015fc5.tar.xz"


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    directory = tmp_path_factory.mktemp("earlier")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(directory, filter="data")
    return directory


@pytest.fixture(scope="module")
def release(unpacked):
    return unpacked / "project" / "releases" / "1"


@pytest.fixture(scope="module")
def asked(unpacked):
    """Requests, and the answers of then."""
    lines = [json.loads(line) for line in (unpacked / "answers.jsonl").read_text().splitlines()]
    return [({name: value for name, value in line.items() if name != "answer"}, line["answer"]) for line in lines]


def test_every_link_of_it_holds(release):
    lines = verify_release(release)
    assert len(lines) == 8
    assert lines[-1] == "parent: none: a first release"


def test_it_recommends_what_it_did_then(release, asked, tmp_path):
    """With the histories that the project's log holds."""
    rows = pd.DataFrame([fields for fields, _ in asked])
    rows["timestamp"] = pd.to_datetime(rows["timestamp"], unit="s", utc=True)
    rows.to_parquet(tmp_path / "requests.parquet")
    output = tmp_path / "answers.parquet"
    shown = cli("recommend", release, "--requests", tmp_path / "requests.parquet", "--output", output)
    assert shown.exit_code == 0, shown.output
    found = pd.read_parquet(output)
    then = [(row, item) for row, (_, answer) in enumerate(asked) for item in answer["items"]]
    assert found["row"].tolist() == [row for row, _ in then]
    assert found["item_id"].tolist() == [item["item_id"] for _, item in then]
    assert found["score"].tolist() == pytest.approx([item["score"] for _, item in then], abs=1e-4)


def test_the_ranking_service_answers_as_it_did_then(release, asked, tmp_path):
    """With the histories that the service has taken over from the release's project."""
    opened = OpenedRelease.open(release)
    store = LmdbStore(tmp_path / "store")
    assert import_project(store, release, None) > 1_000
    index = load_index(Layout(release).index, opened.vectors)
    service = RankingService(opened, index, InProcessModel.of_release(release), store, deadline=60)
    for fields, then in asked:
        made = service.recommend(Request(**fields), look_up_history=True)
        assert made.degraded is None
        assert made.known_user == (fields["user_id"] != "nobody")
        assert made.answer.imputed_query == then["imputed_query"]
        found = [asdict(item) for item in made.answer.items]
        assert [item["item_id"] for item in found] == [item["item_id"] for item in then["items"]]
        for item, before in zip(found, then["items"], strict=True):
            assert item.pop("heads") == pytest.approx(before["heads"], abs=1e-4)
            assert item.pop("quality") == pytest.approx(before["quality"], abs=1e-4)
            assert item["title"] == before["title"]
            assert item["score"] == pytest.approx(before["score"], abs=1e-4)
            assert item["retrieval_score"] == pytest.approx(before["retrieval_score"], abs=1e-4)
    store.close()
