"""Slices of the requests of an evaluation: by country, cold and warm users and items, activity, and kind of event."""

from collections.abc import Iterator
from typing import Literal

import numpy as np
import numpy.typing as npt

from unified_ranker.config import Config
from unified_ranker.core.arrays import MISSING, Ints, Strings
from unified_ranker.prepare.examples import Examples
from unified_ranker.prepare.prepared import Prepared

COLD_USER_EVENTS = 5
"""A user with fewer events before the request is cold."""
TOP_COUNTRIES = 10
ACTIVITY = {"0": (0, 1), "1-4": (1, 5), "5-19": (5, 20), "20-99": (20, 100), "100+": (100, np.iinfo(np.int64).max)}
"""Bands of events of the user before the request, each from (inclusive) to (exclusive)."""

Dimension = Literal["all", "country", "user", "item", "activity", "event"]
Cut = tuple[Dimension, str, npt.NDArray[np.bool_]]


def cut(requests: Examples, prepared: Prepared, config: Config) -> Iterator[Cut]:
    """Yield (dimension, name, mask `[requests]`) of every slice, all requests first.

    Countries come in order of their number of requests, then `other` and `unknown` where there are such requests.
    Cold, warm and the bands of activity are always there, even without a request. Heads that the targets teach come by
    name, where there are at least two.
    """
    yield "all", "all", np.ones(len(requests), bool)
    countries = request_countries(requests, prepared, config)
    names, counts = np.unique(countries[countries != ""].astype(str), return_counts=True)
    ranked = names[np.argsort(-counts, kind="stable")].tolist()
    for name in ranked[:TOP_COUNTRIES]:
        yield "country", name, countries == name
    if ranked[TOP_COUNTRIES:]:
        yield "country", "other", np.isin(countries, ranked[TOP_COUNTRIES:])
    if (countries == "").any():
        yield "country", "unknown", countries == ""
    cold_user = requests.history_length < COLD_USER_EVENTS
    yield "user", "cold", cold_user
    yield "user", "warm", ~cold_user
    cold_item = first_event(prepared)[requests.item] >= requests.timestamp
    cold_item |= requests.item == MISSING
    yield "item", "cold", cold_item
    yield "item", "warm", ~cold_item
    for name, (least, end) in ACTIVITY.items():
        yield "activity", name, (requests.history_length >= least) & (requests.history_length < end)
    heads = sorted({str(head) for head in requests.head})
    if len(heads) > 1:
        for head in heads:
            yield "event", head, requests.head == head


def request_countries(requests: Examples, prepared: Prepared, config: Config) -> Strings:
    """Return each request's country, `[requests]`, after the imputation of its task; "" where it is unknown."""
    countries = requests.country.astype(object).copy()
    imputing = [name for name, task in config.tasks.items() if task.imputation.country == "user"]
    rows = np.flatnonzero((countries == "") & (requests.user != MISSING) & np.isin(requests.task, imputing))
    of_users = prepared.users["country"].fillna("").to_numpy(object)
    countries[rows] = of_users[requests.user[rows]]
    return countries


def first_event(prepared: Prepared) -> Ints:
    """Return the time of each item's first event, `[items]` in seconds; the greatest int64 where it has none."""
    first = np.full(len(prepared.items), np.iinfo(np.int64).max)
    known = prepared.events.item != MISSING
    np.minimum.at(first, prepared.events.item[known], prepared.events.timestamp[known])
    return first
