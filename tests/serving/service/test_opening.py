"""Starting the service: what it refuses to put together, and the whole of it in processes of its own."""

import logging
import re
import shutil
import signal
import socket
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import httpx
import numpy as np
import pytest
from release_toy import edit_manifest
from service_process import children, is_running, running
from service_toy import (
    ITEMS,
    LIMITS,
    MODEL_NAME,
    START,
    VECTORS,
    expected,
    write_project,
    write_release,
)
from small_project import cli

from unified_ranker.config.loading import load_config
from unified_ranker.core.errors import UserError
from unified_ranker.core.request import Request
from unified_ranker.events.lmdb_histories import LmdbStore
from unified_ranker.model_server.embedded_server import EmbeddedModelServer
from unified_ranker.project.release_project import path_to_project
from unified_ranker.project.workspace import Workspace
from unified_ranker.serving.answering.opened_release import OpenedRelease
from unified_ranker.serving.backends.open_backend import open_backend
from unified_ranker.serving.client.grpc_client import ModelClient
from unified_ranker.serving.http.running import ServeOptions, run_service
from unified_ranker.serving.service.open_service import import_project, open_release, open_service

QUERY = "0.5,-1,2"
NEVER_OPENED = partial(open_backend, "localhost:1")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with prepared data and one release."""
    root = tmp_path_factory.mktemp("toy")
    write_release(root / "releases")
    return write_project(root)


@pytest.fixture(scope="module")
def release(project: Path) -> Path:
    return project / "releases" / "1"


@pytest.fixture(scope="module")
def served(release: Path) -> Iterator[str]:
    """The address of a model server that serves the release."""
    with EmbeddedModelServer(release, MODEL_NAME) as server:
        yield server.grpc_address


# --- what belongs together ----------------------------------------------------------------------------------------


def test_release_that_was_changed_is_refused(release, tmp_path):
    copy = shutil.copytree(release, tmp_path / "1")
    with (copy / "items" / "vectors.parquet").open("ab") as file:
        file.write(b"more")
    with pytest.raises(UserError, match=r"vectors\.parquet"):
        open_release(copy)


def test_model_of_the_release_is_taken(release, served):
    opened = OpenedRelease.open(release)
    with ModelClient(served, MODEL_NAME, opened.version) as client:
        service = open_service(release, opened, client, None)
        made = service.recommend(Request("u", "search", query=QUERY))
    assert [i.item_id for i in made.answer.items] == [i for i, _ in expected(QUERY, 6, LIMITS["search"])]


def test_other_version_is_refused(release, served):
    opened = OpenedRelease.open(release)
    with (
        ModelClient(served, MODEL_NAME, version=2) as client,
        pytest.raises(UserError, match=r"must serve version 1.*NOT_FOUND.*version 2"),
    ):
        open_service(release, opened, client, None, wait=0.3)


def test_no_model_server_is_refused_with_its_address(release):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        free = f"127.0.0.1:{listener.getsockname()[1]}"
    with ModelClient(free, MODEL_NAME, 1) as client, pytest.raises(UserError, match=free):
        open_service(release, OpenedRelease.open(release), client, None, wait=0.3)


def test_other_model_of_the_same_version_is_refused(served, tmp_path):
    """Two projects both have a release 1, and their vectors are no pair."""
    vectors = VECTORS.copy()
    vectors[11] += 1
    other = write_release(tmp_path / "releases", vectors)
    with (
        ModelClient(served, MODEL_NAME, 1) as client,
        pytest.raises(UserError, match=rf"scores 1 of {ITEMS} items differently .* `i11`"),
    ):
        open_service(other, OpenedRelease.open(other), client, None)


def test_other_width_is_refused(served, tmp_path):
    wide = write_release(tmp_path / "releases", VECTORS)
    opened = replace(OpenedRelease.open(wide), vectors=np.ones((ITEMS, 4), np.float32))
    description = wide / "index" / "index.json"
    description.write_text(description.read_text().replace('"width": 3', '"width": 4'))
    with ModelClient(served, MODEL_NAME, 1) as client, pytest.raises(UserError, match=r"vectors, 4\. .*\[1, 3\]"):
        open_service(wide, opened, client, None)


# --- histories ----------------------------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LmdbStore]:
    opened = LmdbStore(tmp_path / "store")
    yield opened
    opened.close()


def test_histories_are_those_of_the_project_that_the_release_lies_in(project, release, store):
    (project / "releases" / "newest").symlink_to("1")
    newest = project / "releases" / "newest"
    assert import_project(store, newest, None) == 4
    assert store.before("ann", 0).item_id.tolist() == ["i3", "i4", "i5"]
    assert store.before("ann", START + 1).item_id.tolist() == ["i3"]
    assert len(store.before("nobody", 0)) == 0
    assert import_project(store, newest, None) == 0, "once is enough"


def test_histories_are_found_wherever_the_project_keeps_its_releases(release, tmp_path, store):
    root = write_project(tmp_path, releases_dir="out/releases", work_dir="scratch")
    copy = shutil.copytree(release, root / "out" / "releases" / "1")
    for name, value in (("releases_dir", "out/releases"), ("work_dir", "scratch")):
        edit_manifest(copy, "config", "project", name, value=value)
    assert import_project(store, copy, None) == 4
    assert store.before("ann", 0).item_id.tolist() == ["i3", "i4", "i5"]


@pytest.mark.parametrize("releases_dir", ["../releases", "~/releases", "{elsewhere}/releases"])
def test_histories_are_found_for_releases_beside_the_project(tmp_path, store, monkeypatch, releases_dir):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    root = write_project(tmp_path / "b" / "project", releases_dir=releases_dir.format(elsewhere=tmp_path / "c"))
    releases = Workspace(root, load_config(root)).releases
    release = write_release(releases, project_path=path_to_project(releases / "1", root))
    assert import_project(store, release, None) == 4


def test_release_outside_of_a_project_has_no_histories_and_says_so(release, tmp_path, caplog, store):
    copy = shutil.copytree(release, tmp_path / "releases" / "1")
    with caplog.at_level(logging.WARNING):
        assert import_project(store, copy, None) == 0
    assert str(tmp_path) in caplog.text
    assert "project.yaml" in caplog.text


def test_project_without_prepared_data_has_no_histories_and_says_so(release, tmp_path, caplog, store):
    copy = shutil.copytree(release, tmp_path / "releases" / "1")
    (tmp_path / "project.yaml").write_text("name: toy\n")
    with caplog.at_level(logging.WARNING):
        assert import_project(store, copy, None) == 0
    assert "no prepared data" in caplog.text


def test_project_that_is_given_must_have_histories(project, release, tmp_path, store):
    assert import_project(store, release, project) == 4
    bare = write_project(tmp_path / "bare")
    shutil.rmtree(bare / ".unified_ranker")
    with pytest.raises(UserError, match="unified-ranker prepare"):
        import_project(store, release, bare)
    with pytest.raises(UserError, match=r"must be the project of the release, `toy`"):
        import_project(store, release, write_project(tmp_path / "other", name="other"))


# --- the program --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "example.org"])  # noqa: S104
def test_host_that_others_can_reach_is_refused(release, host):
    with pytest.raises(UserError, match=rf"`--host` must be a loopback.*{re.escape(host)}"):
        run_service(release, ServeOptions(host=host), NEVER_OPENED)


@pytest.mark.parametrize(
    "where", ["localhost", "host:", ":8500", "http://host", "http://host:8501/path", "a b:1", "ftp://host:1"]
)
def test_an_address_that_no_model_can_have_is_refused(release, where):
    shown = cli("serve", release, "--model-server", where)
    assert shown.exit_code == 2
    assert "`host:port`" in shown.stderr
    assert f"Received: `{where}`" in shown.stderr


def test_it_is_said_which_model_server_is_waited_for(release):
    said = []
    with pytest.raises(UserError, match="the model server at `localhost:1` must serve version"):
        run_service(release, ServeOptions(port=0, wait=0.2), partial(open_backend, "localhost:1"), announce=said.append)
    assert len(said) == 1
    assert "waiting for the model server at `localhost:1`" in said[0]


@pytest.mark.parametrize("port", [-1, 65536])
def test_what_is_no_port_is_refused(release, port):
    with pytest.raises(UserError, match=rf"`--port` must be from 0.*{port}"):
        run_service(release, ServeOptions(port=port), NEVER_OPENED)


def test_port_that_is_taken_is_refused_at_once(release):
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(UserError, match="`--port` must be free"):
        run_service(release, ServeOptions(port=taken.getsockname()[1]), NEVER_OPENED)


def test_what_is_no_release_is_refused(tmp_path):
    with pytest.raises(UserError, match="is no release"):
        run_service(tmp_path / "releases" / "latest", ServeOptions(), NEVER_OPENED)


@pytest.mark.parametrize("options", [(), ("--model-server", "embedded")], ids=["in-process", "embedded"])
def test_service_answers_from_its_release_and_sigterm_stops_all_processes(project, tmp_path, options):
    with (
        running(project / "releases" / "latest", "--store", str(tmp_path / "store"), *options) as (process, url),
        httpx.Client(trust_env=False) as http,
    ):
        servers = children(process.pid)
        assert len(servers) == bool(options), (
            "the model runs in the service's own process, unless it was said otherwise"
        )
        assert http.get(f"{url}/healthz").status_code == 200
        assert http.get(f"{url}/readyz").json() == {"status": "ready", "release": 1}
        body = {"user_id": "ann", "task": "home_feed", "query": QUERY, "limit": ITEMS}
        answer = http.post(f"{url}/v1/recommend", json=body).json()
        right = expected(QUERY, ITEMS, ITEMS, ["i3"])  # of ann's events only i3 was liked
        assert [i["item_id"] for i in answer["items"]] == [name for name, _ in right]
        np.testing.assert_allclose([i["retrieval_score"] for i in answer["items"]], [s for _, s in right], rtol=1e-4)
        assert answer["items"][0]["heads"] == {"like": pytest.approx(0.3)}, "three events of the project's log"
        assert answer["release"] == 1
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert not any(map(is_running, servers))


def test_service_outlives_the_model_server_that_it_was_given(release, tmp_path):
    options = ("--store", str(tmp_path / "store"), "--model-server")
    with (
        EmbeddedModelServer(release, MODEL_NAME) as server,
        running(release, *options, server.grpc_address) as started,
    ):
        process, url = started
        assert children(process.pid) == []
        with httpx.Client(base_url=url, trust_env=False, timeout=20) as http:
            body = {"user_id": None, "task": "search", "query": QUERY}
            answer = http.post("/v1/recommend", json=body).json()
            assert [i["item_id"] for i in answer["items"]] == [i for i, _ in expected(QUERY, 6, LIMITS["search"])]

            server.stop()
            gone = http.post("/v1/recommend", json=body)
            assert gone.json()["degraded"] == "cached"
            assert [i["item_id"] for i in gone.json()["items"]] == [i["item_id"] for i in answer["items"]]
            other = http.post("/v1/recommend", json={**body, "query": "1,2,3"})
            assert other.json()["degraded"] == "popular"
            assert http.get("/readyz").status_code == 503
            assert http.get("/healthz").status_code == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
