"""What tests of the HTTP API share."""

import httpx
from fastapi.testclient import TestClient
from service_toy import service

from unified_ranker.serving.http.api import create_app

QUERY = "0.5,-1,2"
BODY = {"user_id": "ann", "task": "search", "query": QUERY}


def client_of(model=None, **settings) -> TestClient:
    return TestClient(create_app(service(model, **settings)), raise_server_exceptions=False)


def recommend(client: TestClient, **changes) -> httpx.Response:
    return client.post("/v1/recommend", json=BODY | changes)


def ids(response: httpx.Response) -> list[str]:
    assert response.status_code == 200, response.text
    return [item["item_id"] for item in response.json()["items"]]


def refusal(response: httpx.Response, status: int) -> dict:
    """The body of an error, which always has the same form."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert body.keys() == {"error", "request_id", "details"}
    assert body["request_id"] == response.headers["X-Request-Id"]
    return body
