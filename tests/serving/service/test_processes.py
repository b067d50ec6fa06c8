"""Faults in running processes: what is killed, refused, swapped, and what a client saw meanwhile."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest
import yaml
from redis_process import REDIS, RedisProcess
from service_process import children, is_running, running
from service_toy import write_release

QUERY = "0.5,-1,2"
BODY = {"user_id": "ann", "task": "home_feed", "query": QUERY, "limit": 10}


pytestmark = pytest.mark.xdist_group("processes")


@pytest.fixture(scope="module")
def releases(tmp_path_factory):
    """Two sound releases."""
    root = tmp_path_factory.mktemp("processes") / "releases"
    write_release(root)
    write_release(root)
    return root


@pytest.fixture(scope="module")
def model_server(releases):
    from unified_ranker.model_server.embedded_server import EmbeddedModelServer

    with EmbeddedModelServer(releases / "1", "toy") as server:
        yield server


@pytest.fixture(scope="module")
def lent(model_server):
    """Options that lend a model server to services which need none of their own: they then start in a second."""
    return ("--model-server", model_server.grpc_address)


@contextlib.contextmanager
def service(release, store, *options):
    with (
        running(release, "--store", str(store), *options) as (process, url),
        httpx.Client(base_url=url, trust_env=False, timeout=60) as http,
    ):
        yield process, http


def event(user="ann", item="i7", kind="rating", value=5.0, **more):
    return {"user_id": user, "item_id": item, "task": "home_feed", "event_type": kind, "value": value, **more}


def shown(http, **changes):
    answer = http.post("/v1/recommend", json=BODY | changes)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_model_server_can_be_called_over_rest(releases, tmp_path, lent, model_server):
    """The same answer as over gRPC, with a live item in it, whose vector is sent along."""
    answers = []
    for options in (lent, ("--model-server", f"http://{model_server.rest_address}")):
        with service(releases / "1", tmp_path / str(len(answers)), *options) as (_, http):
            assert http.put("/v1/items/new", json={"title": "New", "code": "9,-9,9"}).status_code == 200
            answers.append(shown(http, limit=60))
    for answer in answers:
        assert answer["degraded"] is None
        assert "new" in [item["item_id"] for item in answer["items"]]
    over_grpc, over_rest = ([(i["item_id"], i["score"]) for i in answer["items"]] for answer in answers)
    assert [item for item, _ in over_rest] == [item for item, _ in over_grpc]
    np.testing.assert_allclose([score for _, score in over_rest], [score for _, score in over_grpc], rtol=1e-5)


def test_nothing_acknowledged_is_lost_when_the_service_is_killed(releases, tmp_path, lent):
    acknowledged: list[int] = []
    with service(releases / "1", tmp_path, *lent) as (process, http):
        lost = threading.Event()

        def tell(number):
            with contextlib.suppress(httpx.HTTPError):
                sent = http.post("/v1/events", json={"events": [event(user="ann", item=f"i{number}")]})
                if sent.status_code == 200:
                    acknowledged.append(number)
                if len(acknowledged) == 20:
                    process.send_signal(signal.SIGKILL)  # while others are being written
                    lost.set()

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(tell, range(60)))
        assert lost.is_set()
        process.wait()
    assert 20 <= len(acknowledged) < 60
    from unified_ranker.events.lmdb_histories import LmdbStore

    store = LmdbStore(tmp_path)
    kept = set(store.before("ann", 0).item_id)
    assert kept >= {f"i{number}" for number in acknowledged}
    assert {sent.item_id for _, sent in store.since("")} >= {f"i{number}" for number in acknowledged}
    store.close()


def test_events_count_from_the_next_request_on_also_for_a_user_never_seen(releases, tmp_path, lent):
    with service(releases / "1", tmp_path, *lent) as (_, http):
        best = shown(http, user_id="new")["items"][0]
        assert best["heads"]["like"] == pytest.approx(0.0)
        sent = http.post("/v1/events", json={"events": [event(user="new", item=best["item_id"])]})
        assert (sent.json()["accepted"], sent.json()["new"]) == (1, 1)
        after = shown(http, user_id="new")
        assert best["item_id"] not in [i["item_id"] for i in after["items"]], "engaged with"
        assert after["items"][0]["heads"]["like"] == pytest.approx(0.1), "one event, of this very second"
        assert http.get("/v1/users", params={"prefix": "ne"}).json() == {"users": ["new"]}
        stamped = event(user="new", item="i3", timestamp=1_700_000_000)
        for new in (1, 0):
            answer = http.post("/v1/events", json={"events": [stamped]}).json()
            assert (answer["accepted"], answer["new"]) == (1, new)


def test_items_come_and_go_within_the_request_and_survive_a_restart(releases, tmp_path, lent):
    put = {"title": "The newest", "code": "50,-100,200"}
    with service(releases / "1", tmp_path, *lent) as (process, http):
        assert http.put("/v1/items/fresh", json=put).json() == {"item_id": "fresh", "change": "put"}
        found = shown(http, limit=60)["items"]
        fresh = next(i for i in found if i["item_id"] == "fresh")
        assert fresh["title"] == "The newest"
        assert fresh["retrieval_score"] == pytest.approx(0.5 * 50 + 100 + 400), "the ranker has its vector too"
        gone = found[0]["item_id"]
        assert http.delete(f"/v1/items/{gone}").status_code == 200
        assert gone not in [i["item_id"] for i in shown(http, limit=60)["items"]]
        assert http.get(f"/v1/items/{gone}").status_code == 404
        assert http.delete(f"/v1/items/{gone}").status_code == 404
        refused = http.put("/v1/items/odd", json={**put, "cod": "1,2,3"})
        assert refused.status_code == 422
        assert "Did you mean `code`?" in refused.json()["error"]
        elsewhere = {**put, "countries": ["FR"]}
        assert http.put("/v1/items/french", json=elsewhere).status_code == 200
        for country, there in (("FR", True), ("DE", False)):
            ids = [i["item_id"] for i in shown(http, limit=60, country=country)["items"]]
            assert ("french" in ids) is there
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    with service(releases / "1", tmp_path, *lent) as (_, http):
        ids = [i["item_id"] for i in shown(http, limit=60)["items"]]
        assert "fresh" in ids
        assert gone not in ids


def test_a_model_that_says_nan_is_not_believed(releases, tmp_path, lent):
    with service(releases / "1", tmp_path, *lent) as (_, http):
        popular = shown(http, query="nan,0,0")
        assert popular["degraded"] == "popular"
        assert len(popular["items"]) == BODY["limit"]
        assert all(np.isfinite(item["score"]) for item in popular["items"])
        whole = shown(http)
        assert whole["degraded"] is None
        again = shown(http, user_id="ann", query=QUERY)
        assert [i["item_id"] for i in again["items"]] == [i["item_id"] for i in whole["items"]]
        assert 'unified_ranker_errors_total{reason="not_finite",stage="encode"} 1.0' in http.get("/metrics").text


@pytest.mark.skipif(REDIS is None, reason="there is no redis-server on this machine; apt install redis-server")
def test_a_redis_that_is_gone_costs_the_history_alone_and_counts_again_when_it_is_back(releases, tmp_path, lent):
    redis = RedisProcess(tmp_path)
    try:
        with service(releases / "1", redis.url(), *lent) as (_, http):
            sent = {"events": [event(user="ann", item="i7")]}
            assert http.post("/v1/events", json=sent).status_code == 200
            assert shown(http)["items"][0]["heads"]["like"] == pytest.approx(0.1)
            redis.kill()
            without = shown(http)
            assert without["degraded"] == "no_history"
            assert len(without["items"]) == BODY["limit"]
            refused = http.post("/v1/events", json=sent)
            assert refused.status_code == 503, "what cannot be kept is not acknowledged"
            assert "Retry-After" in refused.headers
            redis.start()
            deadline = time.monotonic() + 20
            while (again := shown(http))["degraded"] and time.monotonic() < deadline:
                pass
            assert (again["degraded"], again["items"][0]["heads"]["like"]) == (None, pytest.approx(0.1))
    finally:
        redis.kill()


@pytest.mark.parametrize("backend", ["in-process", "embedded"])
def test_reload_and_rollback_while_requests_are_answered(releases, tmp_path, backend):
    with service(releases / "1", tmp_path, "--model-server", backend) as (process, http):
        servers = children(process.pid)
        assert len(servers) == (backend == "embedded"), "the model runs where it was said to"
        seen: list[tuple[int, int]] = []
        done = threading.Event()

        def ask():
            # At a pace: what loads TensorFlow meanwhile needs the processors, too.
            while not done.wait(0.02):
                answer = http.post("/v1/recommend", json=BODY)
                seen.append((answer.status_code, answer.json()["release"]))

        asking = threading.Thread(target=ask)
        asking.start()
        try:
            swap = http.post("/v1/admin/reload", json={"release": 2})
            assert swap.status_code == 200, swap.text
            assert (swap.json()["release"], swap.json()["previous"]) == (2, 1)
            assert shown(http)["release"] == 2

            url = str(http.base_url)
            program = "from unified_ranker.cli import main; main()"
            back = subprocess.run(
                [sys.executable, "-c", program, "rollback", "--url", url], capture_output=True, text=True, check=False
            )
            assert back.returncode == 0, back.stderr
            assert "release 1 answers instead of release 2" in back.stdout
        finally:
            done.set()
            asking.join()
        assert {status for status, _ in seen} == {200}
        assert {release for _, release in seen} == {1, 2}
        assert http.post("/v1/admin/rollback", json={}).status_code == 422, "there is nothing before"
        deadline = time.monotonic() + 20
        while any(map(is_running, servers)) and time.monotonic() < deadline:
            os.sched_yield()
        assert not any(map(is_running, servers)), "the model server of a release that is gone goes too"
        metrics = http.get("/metrics").text
        assert 'unified_ranker_reloads_total{outcome="swapped"} 2.0' in metrics
        assert 'unified_ranker_release{label="stable"} 1.0' in metrics


def test_damaged_release_is_refused_and_the_old_one_goes_on(releases, tmp_path, lent):
    root = tmp_path / "releases"
    shutil.copytree(releases, root)
    file = next((root / "2" / "index").glob("*.json"))
    file.write_bytes(file.read_bytes()[:-9] + b"corrupted")
    with service(root / "1", tmp_path / "store", *lent) as (_, http):
        refused = http.post("/v1/admin/reload", json={"release": 2})
        assert refused.status_code == 422
        assert "SHA-256" in refused.json()["error"]
        assert http.post("/v1/admin/reload", json={"release": 9}).status_code == 422
        assert http.post("/v1/admin/reload", json={"release": "../../etc"}).status_code == 422
        assert shown(http)["release"] == 1


def test_a_share_of_the_users_gets_the_canary(releases, tmp_path):
    with service(releases / "1", tmp_path, "--canary", "2", "--canary-share", "0.5") as (_, http):
        labels = {user: shown(http, user_id=user)["label"] for user in map(str, range(40))}
        assert set(labels.values()) == {"stable", "canary"}
        assert {user: shown(http, user_id=user)["label"] for user in labels} == labels, "the same at every request"
        about = http.get("/v1/release").json()
        assert about["labels"] == {"stable": 1, "canary": 2}
        assert http.post("/v1/admin/rollback", json={"label": "canary"}).status_code == 200
        assert {shown(http, user_id=user)["label"] for user in labels} == {"stable"}


def test_dead_model_server_leaves_kept_answers_and_a_drain_that_ends(releases, tmp_path):
    with service(releases / "1", tmp_path, "--model-server", "embedded") as (process, http):
        whole = shown(http)
        assert whole["degraded"] is None
        (model,) = children(process.pid)
        os.kill(model, signal.SIGKILL)
        kept = shown(http)
        assert kept["degraded"] == "cached"
        assert [i["item_id"] for i in kept["items"]] == [i["item_id"] for i in whole["items"]]
        other = shown(http, query="3,2,1")
        assert (other["degraded"], len(other["items"])) == ("popular", 10)
        assert http.get("/readyz").status_code == 503
        metrics = http.get("/metrics").text
        assert 'rung="popular"' in metrics
        assert 'unified_ranker_errors_total{reason="UNAVAILABLE",stage="encode"}' in metrics
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert not is_running(model)


def until(holds, what, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, what


def test_a_model_server_that_dies_is_started_again_and_the_probes_say_what_is(releases, tmp_path):
    with service(releases / "1", tmp_path, "--model-server", "embedded") as (process, http):

        def state():
            return (http.get("/healthz").json()["status"], http.get("/readyz").status_code)

        until(lambda: 'unified_ranker_model_up{label="stable"} 1.0' in http.get("/metrics").text, "it is up")
        for death in range(2):
            (model,) = children(process.pid)
            os.kill(model, signal.SIGKILL)
            until(lambda: state() == ("degraded", 503), "both probes say that it is gone")
            assert 'unified_ranker_model_up{label="stable"} 0.0' in http.get("/metrics").text
            assert shown(http, query=f"{death},2,1")["degraded"] == "popular"
            until(lambda: state() == ("ok", 200), "it is started again")
            until(lambda: shown(http, query="3,2,1")["degraded"] is None, "requests are answered in full again")
            assert children(process.pid) != [model]
        (model,) = children(process.pid)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert not is_running(model), "none is started after the end"


def test_slow_model_server_costs_no_more_than_the_deadline(releases, tmp_path):
    with service(releases / "1", tmp_path, "--deadline-ms", "400", "--model-server", "embedded") as (process, http):
        shown(http)
        (model,) = children(process.pid)
        os.kill(model, signal.SIGSTOP)
        try:
            for number in range(8):
                started = time.monotonic()
                answer = shown(http, query=f"1,{number},1")
                assert answer["degraded"] == "popular"
                assert time.monotonic() - started < 5
            assert 'reason="breaker_open"' in http.get("/metrics").text, "after five in a row, nobody waits any more"
        finally:
            os.kill(model, signal.SIGCONT)
        deadline = time.monotonic() + 60
        while shown(http)["degraded"] is not None:
            assert time.monotonic() < deadline, "it is probed again, and found well"


def test_full_disk_refuses_events_and_answers_go_on(releases, tmp_path, lent):
    """A limit on the size of files stands for the full disk: the operating system refuses to write, as then."""
    import resource

    with service(releases / "1", tmp_path, *lent) as (process, http):
        assert http.post("/v1/events", json={"events": [event(item="i8")]}).status_code == 200
        size = (tmp_path / "data.mdb").stat().st_size
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        statuses = []
        for number in range(400):
            sent = [event(item=f"i{number % 60}", timestamp=1_700_000_000 + 500 * number + n) for n in range(400)]
            statuses.append(http.post("/v1/events", json={"events": sent}).status_code)
            if statuses[-1] != 200:
                break
        assert statuses[-1] == 503, "what cannot be kept is not acknowledged"
        assert shown(http)["degraded"] is None
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        assert http.post("/v1/events", json={"events": [event(item="i9")]}).status_code == 200, "with room, it goes on"
        assert "i9" not in [i["item_id"] for i in shown(http, limit=60)["items"]]


def test_other_machines_need_tokens_and_roles(releases, tmp_path, lent):
    from unified_ranker.serving.http.security import new_token

    entries, secrets = [], {}
    for role in ("read", "events", "admin"):
        secrets[role], token = new_token(role, [role])
        entries.append({"name": token.name, "sha256": token.sha256, "roles": list(token.roles)})
    file = tmp_path / "tokens.yaml"
    file.write_text(yaml.safe_dump(entries))
    sent = {"events": [event()]}
    with service(releases / "1", tmp_path / "store", "--host", "0.0.0.0", "--tokens", str(file), *lent) as (_, http):  # noqa: S104
        http.base_url = str(http.base_url).replace("0.0.0.0", "127.0.0.1")  # noqa: S104

        def status(role, method, path, body=None):
            headers = {"Authorization": f"Bearer {secrets[role]}"} if role else {}
            return http.request(method, path, json=body, headers=headers).status_code

        asked = [("POST", "/v1/recommend", BODY), ("POST", "/v1/events", sent), ("GET", "/v1/users", None)]
        assert [status(None, *call) for call in asked] == [401, 401, 401]
        assert [status("read", *call) for call in asked] == [200, 403, 403]
        assert [status("events", *call) for call in asked] == [403, 200, 403]
        assert [status("admin", *call) for call in asked] == [200, 200, 200]
        assert [status(None, "GET", path) for path in ("/healthz", "/readyz", "/", "/docs")] == [200] * 4
        assert status(None, "GET", "/metrics") == 401
        assert http.get("/healthz", headers={"X": "a" * 33_000}).status_code == 431, "nobody, with or without a token"
        forged = {"Authorization": "Bearer " + "x" * 43}
        assert http.post("/v1/recommend", json=BODY, headers=forged).status_code == 401


def test_a_page_from_elsewhere_cannot_reach_a_service_without_tokens(releases, tmp_path, lent):
    with service(releases / "1", tmp_path, "--json-logs", *lent) as (process, http):
        rebound = http.post("/v1/recommend", json=BODY, headers={"Host": "evil.example:8080"})
        assert rebound.status_code == 421
        shown(http)
        process.send_signal(signal.SIGTERM)
        process.wait(20)
    lines = [json.loads(line) for line in process.log if line.startswith("{")]
    answered = next(line for line in lines if line["message"] == "answered")
    assert answered["task"] == "home_feed"
    assert answered["label"] == "stable"
    assert answered["timings_ms"].keys() >= {"encode", "retrieve", "rank", "total"}
    assert len(answered["request_id"]) > 8
    assert np.isfinite(answered["timings_ms"]["total"])
