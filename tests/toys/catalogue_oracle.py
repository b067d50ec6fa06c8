"""Client of a service that knows every right answer: what it changed is in a plain dictionary, item by item.

It speaks HTTP alone, to a client of the tests' own or to processes that are killed. Each client changes items of its
own, so that several may work at once. A change whose answer was lost may have happened or not: both states are right
until a look tells which, and it stays so.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Fields = Mapping[str, Any]
State = Fields | None
"""Fields of an item; None: the catalogue has no such item."""

WITHOUT_MODEL = ("cached", "popular")
"""Rungs that answer from what they have kept: they need not have every item, and may have none that is gone."""


def merged(fields: Fields, patch: Fields) -> dict[str, Any]:
    """RFC 7396, written again from its text."""
    out = dict(fields)
    for name, value in patch.items():
        if value is None:
            out.pop(name, None)
        else:
            out[name] = value
    return out


@dataclass
class CatalogueClient:
    """One client with its items.

    Attributes:
        http: replicas of the service, each a client with `request(method, path, json=)`.
        items: what its items may be: one state, or two after a lost answer.
        engaged: items that users engaged with, by user.
        wrong: wrong answers, in words.
        counts: operations by name and status.
        patience: seconds in which a replica may still answer from before a change.
    """

    http: Sequence[Any]
    items: dict[str, list[State]]
    engaged: dict[str, set[str]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    patience: float = 0.0

    def put(self, item: str, fields: Fields, replica: int = 0) -> None:
        given = {name: value for name, value in fields.items() if value is not None}
        self._change("PUT", item, fields, lambda state: given, replica)

    def patch(self, item: str, patch: Fields, replica: int = 0) -> None:
        self._change("PATCH", item, patch, lambda state: None if state is None else merged(state, patch), replica)

    def delete(self, item: str, replica: int = 0) -> None:
        self._change("DELETE", item, None, lambda state: None, replica)

    def engage(self, user: str, item: str, event: Fields, replica: int = 0) -> None:
        """Report an event that the service counts as engagement with one of the items."""
        sent = self._send("POST", "/v1/events", {"events": [{"user_id": user, "item_id": item, **event}]}, replica)
        if sent is not None and sent.status_code == 200:
            self.engaged.setdefault(user, set()).add(item)

    def look(self, body: Fields, excluding: bool = False, whole: bool = True, replica: int = 0) -> str | None:
        """Ask for items, and compare with the dictionary; returns the rung.

        `excluding` tells whether the task leaves out what its user engaged with, `whole` whether the answer must have
        every item that may be shown.
        """
        return self._until_right(lambda: self._look(body, excluding, whole, replica))

    def get(self, item: str, replica: int = 0) -> None:
        """Ask for one item, and compare."""
        self._until_right(lambda: self._get(item, replica))

    # --- steps ----------------------------------------------------------------------------------------------------

    def _until_right(self, look: Callable[[], tuple[str | None, list[str]]]) -> str | None:
        until = time.monotonic() + self.patience
        while True:
            rung, wrong = look()
            if not wrong or time.monotonic() >= until:
                self.wrong += wrong
                return rung
            time.sleep(0.02)

    def _change(
        self, method: str, item: str, body: Fields | None, make: Callable[[State], State], replica: int
    ) -> None:
        before = self.items.setdefault(item, [None])
        after = [make(state) for state in before]
        sent = self._send(method, f"/v1/items/{item}", body, replica)
        if sent is None or sent.status_code >= 500:
            self.items[item] = _different([*before, *after])
        elif sent.status_code == 200:
            # A patch or removal of what may be gone was told that it is there.
            self.items[item] = _different(
                [new for old, new in zip(before, after, strict=True) if method == "PUT" or old is not None]
            )
            if not self.items[item]:
                self.wrong.append(f"{method} of `{item}`, which is gone, was done")
                self.items[item] = [None]
        elif sent.status_code == 404 and method != "PUT":
            if None not in before:
                self.wrong.append(f"{method} of `{item}`, which is there, found none")
            self.items[item] = [None]
        else:
            self.wrong.append(f"{method} of `{item}`: {sent.status_code} {sent.text[:200]}")

    def _look(self, body: Fields, excluding: bool, whole: bool, replica: int) -> tuple[str | None, list[str]]:
        sent = self._send("POST", "/v1/recommend", body, replica)
        if sent is None or sent.status_code == 503:
            return None, []
        if sent.status_code != 200:
            return None, [f"recommend: {sent.status_code} {sent.text[:200]}"]
        answer = sent.json()
        rung, shown = answer["degraded"], {item["item_id"]: item for item in answer["items"]}
        self.counts[f"rung {rung or 'full'}"] += 1
        where = f"release {answer['release']}, {answer['label']}, {rung or 'full'}"
        wrong = []
        gone = self.engaged.get(body["user_id"] or "", set()) if excluding else set()
        for item, states in self.items.items():
            right = [self._shown(item, state, body, gone) for state in states]
            if item in shown and shown[item]["title"] not in [title for title in right if title is not None]:
                wrong.append(f"{where}: `{item}` is shown as {shown[item]['title']!r}, and is {states}")
            if item not in shown and whole and rung not in WITHOUT_MODEL and None not in right:
                wrong.append(f"{where}: `{item}` is missing, and is {states}")
        return rung, wrong

    @staticmethod
    def _shown(item: str, state: State, body: Fields, gone: set[str]) -> str | None:
        """The title that an item is shown with; None: it is not shown."""
        if state is None or item in gone or state.get("available") is False:
            return None
        if item in (body.get("source_item_id"), body.get("query_item_id")):
            return None
        if state.get("countries") and body.get("country") and body["country"] not in state["countries"]:
            return None
        return state.get("title", "")

    def _get(self, item: str, replica: int) -> tuple[None, list[str]]:
        sent = self._send("GET", f"/v1/items/{item}", None, replica)
        states = self.items[item]
        if sent is None or sent.status_code >= 500:
            return None, []
        right = (
            None in states
            if sent.status_code == 404
            else sent.json()["title"] in [state.get("title", "") for state in states if state is not None]
        )
        return None, [] if right else [f"GET of `{item}`: {sent.status_code} {sent.text[:200]}, and it is {states}"]

    def _send(self, method: str, path: str, body: Fields | None, replica: int) -> Any:
        """The answer; None where there was none."""
        try:
            sent = self.http[replica].request(method, path, json=body)
        except OSError:
            sent = None
        except Exception as error:  # each client library has its own error of the connection
            if "Error" not in type(error).__name__ or isinstance(error, AssertionError | TypeError | ValueError):
                raise
            sent = None
        self.counts[f"{method} {path.split('/')[2]} {sent.status_code if sent is not None else 'lost'}"] += 1
        return sent


def _different(states: Sequence[State]) -> list[State]:
    out: list[State] = []
    for state in states:
        if state not in out:
            out.append(state)
    return out
