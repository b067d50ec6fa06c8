"""Behaviours of every model backend: TF Serving's API over gRPC and REST, this process, others."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from service_toy import ITEMS, LIMITS, MODEL_NAME, ToyModel, expected, write_release

from unified_ranker.core.request import Request, state_arrays, to_arrays
from unified_ranker.model_server.embedded_server import EmbeddedModelServer
from unified_ranker.serving.answering.opened_release import OpenedRelease
from unified_ranker.serving.backends.base import MODEL_BACKENDS, ModelBackendError, ServedModel
from unified_ranker.serving.backends.open_backend import LOCAL_ADDRESSES, open_backend
from unified_ranker.serving.service.open_service import open_service

QUERY = "0.5,-1,2"


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    return write_release(tmp_path_factory.mktemp("backends") / "releases")


@pytest.fixture(scope="module")
def server(release):
    with EmbeddedModelServer(release, MODEL_NAME) as started:
        yield started


@pytest.fixture(scope="module", params=list(MODEL_BACKENDS))
def open_again(request, release, server):
    """Opens a backend of the toy's model; one that another package registers is given the release as its place."""
    addresses = {
        "grpc": server.grpc_address,
        "http": f"http://{server.rest_address}",
        **{name: name for name in LOCAL_ADDRESSES},
    }
    address = addresses.get(request.param, f"{request.param}://{release}")
    return lambda: open_backend(address, ServedModel(release, MODEL_NAME, 1))


@pytest.fixture(scope="module")
def backend(open_again):
    opened = open_again()
    opened.start()
    opened.wait_until_available(30)
    yield opened
    opened.close()


def asked(*queries):
    return to_arrays([Request("", "search", query=query) for query in queries], 4)


def test_it_gives_what_the_model_gives(backend):
    right, found = ToyModel().predict("encode", asked(QUERY, "")), backend.predict("encode", asked(QUERY, ""), 30)
    assert found.keys() == right.keys()
    np.testing.assert_allclose(found["query_vector"], right["query_vector"])
    assert found["query_vector"].dtype == np.float32
    assert found["imputed_query"].tolist() == [QUERY.encode(), b"1,1,1"]
    candidates = {"candidate_ids": np.array([["i3", "i4", ""], ["i5", "", ""]], object)}
    ranked = backend.predict("rank_encoded", {**state_arrays(found), **candidates}, 30)
    wanted = ToyModel().predict("rank_encoded", {**state_arrays(right), **candidates})
    assert ranked.keys() == wanted.keys()
    np.testing.assert_allclose(ranked["score"], wanted["score"], rtol=1e-5)
    ranked["score"] += 1  # the caller's own, so writable


def test_texts_of_every_kind_are_the_same_input(backend):
    for query in (np.array([QUERY]), np.array([QUERY.encode()]), np.array([QUERY], object)):
        found = backend.predict("encode", {**asked(QUERY), "query": query}, 30)
        assert found["imputed_query"].tolist() == [QUERY.encode()]


def test_what_the_model_does_not_have_is_refused_with_its_name(backend):
    with pytest.raises(ModelBackendError, match="`nonsense`") as caught:
        backend.predict("nonsense", {}, 30)
    assert caught.value.reason in ("FAILED_PRECONDITION", "INVALID_ARGUMENT", "NOT_FOUND")
    with pytest.raises(ModelBackendError, match="signature `rank_encoded`") as caught:
        backend.predict("rank_encoded", {"candidate_ids": np.array([["i1"]], object)}, 30)
    assert caught.value.reason == "INVALID_ARGUMENT"


def test_a_graph_that_fails_says_so_and_the_next_call_is_answered(backend):
    with pytest.raises(ModelBackendError, match="signature `encode`") as caught:
        backend.predict("encode", asked("no numbers"), 30)
    assert caught.value.reason == "INVALID_ARGUMENT"
    assert backend.predict("encode", asked(QUERY), 30)["query_vector"].shape == (1, 3)


def test_a_call_without_time_is_not_answered(backend):
    with pytest.raises(ModelBackendError) as caught:
        backend.predict("encode", asked(QUERY), 0)
    assert caught.value.reason == "DEADLINE_EXCEEDED"


def test_an_array_of_no_type_is_a_mistake_of_the_caller(backend):
    with pytest.raises(TypeError):
        backend.predict("encode", {**asked(QUERY), "query": np.array([object()], object)}, 30)


def test_its_version_is_available(backend):
    assert [(found.version, found.state) for found in backend.status(30)] == [(1, "AVAILABLE")]
    assert backend.wait_until_available(30) == 1


def test_threads_call_it_at_once(backend):
    queries = [f"{n},1,{-n}" for n in range(24)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda query: backend.predict("encode", asked(query), 30), queries))
    vectors = [one["query_vector"][0].tolist() for one in found]
    assert vectors == [[float(n), 1.0, float(-n)] for n in range(24)]


def test_the_service_answers_by_it(backend, release):
    service = open_service(release, OpenedRelease.open(release), backend, None, deadline=30)
    made = service.recommend(Request("u", "search", query=QUERY))
    assert made.degraded is None
    right = expected(QUERY, 6, LIMITS["search"])
    assert [item.item_id for item in made.answer.items] == [item for item, _ in right]
    assert len(right) < ITEMS


def test_it_may_be_closed_before_it_started_and_twice(open_again):
    opened = open_again()
    opened.close()
    opened.close()
