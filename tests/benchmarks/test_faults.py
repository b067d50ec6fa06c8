"""The fault run: the same seed does the same, and an answer that is wrong is found."""

import importlib
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def faults():
    """The script as a module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        yield importlib.import_module("faults")


class Recorded:
    """A service that has forgotten every change, and the requests that it was sent."""

    def __init__(self, shown=()):
        self.sent, self.shown = [], shown

    def request(self, method, path, json=None):
        self.sent.append((method, path, {k: v for k, v in (json or {}).items() if k != "events"}))
        return self

    status_code, text = 200, ""

    def json(self):
        items = [{"item_id": name, "title": "of before"} for name in self.shown]
        return {"degraded": None, "release": 1, "label": "stable", "items": items, "title": "of before"}


def asked(faults, seed, shown=()):
    worker, service = faults.Worker(1, seed, ["http://localhost"]), Recorded(shown)
    worker.client.http = [service]
    for _ in range(200):
        worker.one()
    return service.sent, worker.client.wrong


def test_a_seed_does_the_same_again(faults):
    assert asked(faults, 3)[0] == asked(faults, 3)[0] != asked(faults, 4)[0]
    assert {method for method, *_ in asked(faults, 3)[0]} == {"PUT", "PATCH", "DELETE", "GET", "POST"}


@pytest.mark.parametrize(("shown", "words"), [((), "is missing"), (["i1", "i4"], "is shown as 'of before'")])
def test_what_is_missing_and_what_is_of_before_a_change_is_wrong(faults, shown, words):
    assert any(words in line for line in asked(faults, 3, shown)[1])
