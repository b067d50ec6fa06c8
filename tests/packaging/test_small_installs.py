"""The two small roles in empty environments: a ranking service beside a model server, and a reader of vectors."""

import contextlib
import json
from importlib.metadata import distributions

import httpx
import numpy as np
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from redis_process import REDIS, RedisProcess
from service_process import running
from service_toy import CANDIDATES, LIMITS, MODEL_NAME, expected, write_release
from store_toy import export, unit

from unified_ranker.release.indexes.scann import ScannIndex
from unified_ranker.store import open_store

pytestmark = [pytest.mark.installs, pytest.mark.xdist_group("installs")]

QUERY = "0.5,-1,2"
HEAVY = ("tensorflow", "tf-keras", "apache-beam", "scipy", "matplotlib")


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    return write_release(tmp_path_factory.mktemp("release") / "releases", index=ScannIndex(type="scann", leaves=1))


@pytest.fixture(scope="module")
def server(release):
    """The stand-in for TensorFlow Serving, in this environment, which has everything."""
    from unified_ranker.model_server.embedded_server import EmbeddedModelServer

    with EmbeddedModelServer(release, MODEL_NAME) as started:
        yield started


@pytest.fixture(scope="module")
def redis(tmp_path_factory):
    if REDIS is None:
        pytest.skip("there is no redis-server on this machine; apt install redis-server")
    process = RedisProcess(tmp_path_factory.mktemp("redis"))
    yield process
    process.kill()


@contextlib.contextmanager
def serving(service, release, *options):
    program = [str(service.place / "bin" / "unified-ranker")]
    with (
        running(release, *options, program=program, env={"PYTHONPATH": ""}) as (_, url),
        httpx.Client(base_url=url, trust_env=False, timeout=60) as http,
    ):
        yield http


def answers(http):
    """Ask the service, tell it of an event, and hold both answers against those worked out by hand."""
    body = {"user_id": "eve", "task": "home_feed", "query": QUERY}
    before = http.post("/v1/recommend", json=body).json()
    assert before["degraded"] is None
    shown = [(item["item_id"], item["retrieval_score"]) for item in before["items"]]
    right = expected(QUERY, CANDIDATES["home_feed"], LIMITS["home_feed"], time=2**40)
    assert [item for item, _ in shown] == [item for item, _ in right]
    np.testing.assert_allclose([score for _, score in shown], [score for _, score in right], rtol=1e-4)
    seen = shown[0][0]
    event = {"user_id": "eve", "item_id": seen, "task": "home_feed", "event_type": "rating", "value": 5.0}
    answer = http.post("/v1/events", json={"events": [event]}).json()
    assert (answer["accepted"], answer["new"]) == (1, 1)
    after = http.post("/v1/recommend", json=body).json()
    assert seen not in [item["item_id"] for item in after["items"]]
    assert after["degraded"] is None


def test_the_service_answers_over_grpc_with_histories_on_disk(service, release, server, tmp_path):
    with serving(service, release, "--model-server", server.grpc_address, "--store", str(tmp_path)) as http:
        answers(http)
        for page in ("/", "/docs", "/metrics", "/readyz"):
            assert http.get(page).status_code == 200, page


def test_the_service_answers_over_rest_with_histories_in_redis(service, release, server, redis):
    with serving(service, release, "--model-server", f"http://{server.rest_address}", "--store", redis.url()) as http:
        answers(http)


@pytest.mark.parametrize("role", ["service", "vectors"])
def test_the_list_is_whole_and_fits_setup_cfg(role, request, wheel):
    """Every package of the list has what it needs in the list, but for what the small roles do without."""
    environment = request.getfixturevalue(role)
    there = {canonicalize_name(d.metadata["Name"]): d for d in distributions(path=[str(environment.site)])}
    lines = [line for line in environment.requirements.read_text().splitlines() if line and not line.startswith("#")]
    pins = {canonicalize_name(r.name): r for r in map(Requirement, lines)}
    assert there.keys() == pins.keys() | {"unified-ranker"}
    assert not there.keys() & set(HEAVY)
    for name, distribution in there.items():
        needs = [Requirement(text) for text in distribution.requires or ()]
        extras = ("", "redis", "traces") if name == "unified-ranker" else ("",)
        needs = [r for r in needs if r.marker is None or any(r.marker.evaluate({"extra": e}) for e in extras)]
        for need in needs:
            other = canonicalize_name(need.name)
            if other in there:
                assert need.specifier.contains(there[other].version), f"{name} needs {need}"
            else:
                assert name in ("scann", "unified-ranker"), f"{name} needs {need}"


def test_what_a_small_install_lacks_is_named_and_no_trace(service, release):
    for arguments in (("serve", release, "--port", "0"), ("model-server", release)):
        done = service.run("unified-ranker", *arguments)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr
        assert "not installed" in done.stderr


@pytest.mark.parametrize("backend", ["lmdb", "redis"])
def test_a_reader_reads_what_the_whole_environment_wrote(vectors, backend, tmp_path, request):
    place = str(tmp_path / "vectors") if backend == "lmdb" else request.getfixturevalue("redis").url("packaging:")
    items, users = unit(20, seed=1), unit(5, seed=2)
    with open_store(place) as store:
        export(store, items, users)
    program = """
import json, sys
from unified_ranker.store import open_store
with open_store(sys.argv[1]) as store:
    one = store.get("item", "item-3").vector
    many = store.get_many("user", ["user-0", "user-4"]).vectors
    near = store.neighbours("item", "user-4", k=3, of_kind="user")
print(json.dumps([one.tolist(), many.tolist(), [n.id for n in near]]))
"""
    done = vectors.run("python", "-c", program, place)
    assert done.returncode == 0, done.stderr
    one, many, near = json.loads(done.stdout)
    np.testing.assert_array_equal(np.float32(one), items[3])
    np.testing.assert_array_equal(np.float32(many), users[[0, 4]])
    assert near == [f"item-{n}" for n in np.argsort(-(items @ users[4]))[:3]]


def test_small_installs_are_small(service, vectors):
    """The whole environment has 2,600 MB (docs/guide/install.md)."""
    assert service.megabytes() < 450
    assert vectors.megabytes() < 80
