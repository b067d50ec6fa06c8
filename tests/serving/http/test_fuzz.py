"""Schemathesis reads the OpenAPI document and asks what it can think of: no answer is a fault of the service."""

import hypothesis
import pytest
import schemathesis
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from service_toy import RELEASE, ToyModel, service

from unified_ranker.events.lmdb_histories import LmdbStore
from unified_ranker.serving.http.api import RankingBackend, create_app
from unified_ranker.serving.service.live_items import LiveItems
from unified_ranker.serving.service.releases import Releases


class Steady(ToyModel):
    """The toy, for queries of any text."""

    def predict(self, signature, inputs, timeout=None):
        changed = dict(inputs)
        for name in ("query", "code"):
            if name in changed:
                changed[name] = changed[name].copy()
                changed[name][:] = "0.5,-1,2"
        return super().predict(signature, changed, timeout)


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    root = tmp_path_factory.mktemp("fuzz")
    (root / "releases").mkdir()
    store, ranker = LmdbStore(root / "store"), service(Steady())
    live = LiveItems(ranker, store)

    def none(model):
        raise AssertionError("there is no release to open")

    yield create_app(RankingBackend(ranker, store, live, Releases(ranker, root / "releases", none, live)))
    store.close()


def test_nothing_that_is_asked_makes_the_service_fail(app):
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) == 13
    for operation in operations:
        for mode in GenerationMode:

            @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
            @hypothesis.settings(max_examples=15, suppress_health_check=list(hypothesis.HealthCheck))
            def ask(case):
                response = case.call()
                if response.status_code == 503:
                    assert case.path in ("/readyz", "/v1/recommend"), response.text
                else:
                    case.validate_response(response, checks=[not_a_server_error])

            try:
                ask()
            except hypothesis.errors.Unsatisfiable:
                takes_nothing = not list(operation.iter_parameters()) and not list(operation.body)
                assert takes_nothing, f"{operation.label}: nothing could be asked of it"


def test_the_document_lists_every_operation(app):
    paths = app.openapi()["paths"]
    assert {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods} == {
        "POST /v1/recommend",
        "POST /v1/events",
        "GET /v1/users",
        "GET /v1/items/{item_id}",
        "PUT /v1/items/{item_id}",
        "PATCH /v1/items/{item_id}",
        "DELETE /v1/items/{item_id}",
        "GET /v1/release",
        "POST /v1/admin/reload",
        "POST /v1/admin/rollback",
        "GET /healthz",
        "GET /readyz",
        "GET /metrics",
    }
    assert RELEASE.version == 7
