"""The rule of one request over a release with live changes, against plain Python item by item."""

from dataclasses import replace

import numpy as np
from candidate_oracle import Shown, may_answer
from hypothesis import given
from hypothesis import strategies as st
from service_toy import CANDIDATES, RELEASE

from unified_ranker.core.offers import Offers
from unified_ranker.core.request import History, Request
from unified_ranker.core.times import NEVER
from unified_ranker.serving.answering.request_rule import RequestRule
from unified_ranker.serving.retrieval.overlay import LiveItem

ITEMS = tuple("abcdef")
NEW = ("new1", "new2")
COUNTRIES = ("DE", "FR")
TASKS = {"home_feed": ("rating", 4.0), "search": ("click", 0.0)}
NOW = 10


def shown(name):
    return st.builds(
        Shown,
        st.just(name),
        st.one_of(st.none(), st.integers(1, 12)),
        st.lists(st.sampled_from(COUNTRIES), max_size=2, unique=True).map(tuple),
        st.booleans(),
    )


CATALOGUES = st.tuples(*map(shown, ITEMS))
CHANGES = st.fixed_dictionaries({}, optional={name: st.one_of(st.none(), shown(name)) for name in (*ITEMS, *NEW)})
EVENTS = st.lists(
    st.builds(
        lambda item, task, time: {
            "item_id": item,
            "task": task,
            "event_type": TASKS[task][0],
            "value": TASKS[task][1],
            "timestamp": time,
        },
        st.sampled_from([*ITEMS, *NEW, "elsewhere"]),
        st.sampled_from(list(TASKS)),
        st.integers(1, 12),
    ),
    max_size=5,
)
NAMES = st.sampled_from(["", "elsewhere", *ITEMS, *NEW])
REQUESTS = st.builds(
    lambda task, source, query_item, country, time, events: Request(
        "u",
        task,
        source_item_id=source,
        query_item_id=query_item,
        country=country,
        timestamp=time,
        history=History.of(events),
    ),
    st.sampled_from(list(TASKS)),
    NAMES,
    NAMES,
    st.sampled_from(["", *COUNTRIES, "US"]),
    st.integers(0, 12),
    EVENTS,
)


def release_of(catalogue, changes):
    """A release of such items with such changes since; now is `NOW`."""
    release = replace(
        RELEASE,
        item_ids=np.array(ITEMS, object),
        vectors=np.ones((len(ITEMS), 3), np.float32),
        titles=np.array(ITEMS, object),
        created_at=np.array([NEVER if i.created_at is None else i.created_at for i in catalogue]),
        offers=Offers.of([i.available for i in catalogue], [i.countries for i in catalogue]),
        clock=lambda: NOW + 0.9,
    )
    live = {
        name: change
        and LiveItem(
            name,
            np.ones(3, np.float32),
            created_at=NEVER if change.created_at is None else change.created_at,
            countries=change.countries,
            available=change.available,
        )
        for name, change in changes.items()
    }
    return release.with_changes(live)


def right(catalogue, changes, request):
    """The ids that may answer; a request without a time is made now."""
    now = {item.item_id: item for item in catalogue} | changes
    there = [item for item in now.values() if item is not None]
    made = request if request.timestamp else replace(request, timestamp=NOW)
    return may_answer(there, made, RELEASE.config.tasks[request.task])


@given(CATALOGUES, CHANGES, REQUESTS)
def test_positions_that_may_answer_are_those_of_the_rule(catalogue, changes, request):
    release, expected = release_of(catalogue, changes), right(catalogue, changes, request)
    rule = RequestRule(release, request)
    names = [*ITEMS, *NEW, "elsewhere"]
    may = rule.allowed(release.positions(names))
    assert {name for name, allowed in zip(names, may, strict=True) if allowed} == expected
    of_release, of_live = np.flatnonzero(rule.of_release()), np.flatnonzero(rule.of_live()) + len(ITEMS)
    assert {*release.ids_at(of_release), *release.ids_at(of_live)} == expected
    assert len(of_release) + len(of_live) == len(expected)


@given(CATALOGUES, CHANGES, REQUESTS)
def test_no_fewer_are_left_than_its_counts_say(catalogue, changes, request):
    """An index is asked for so many more; with fewer, answers would be searched exactly for nothing, or too short."""
    rule = RequestRule(release_of(catalogue, changes), request)
    assert rule.of_release().sum() >= len(ITEMS) - rule.excluded - rule.withheld


@given(CATALOGUES, CHANGES, REQUESTS, st.lists(st.sampled_from([*ITEMS, *NEW, "elsewhere"]), unique=True))
def test_proposals_come_first_and_pass_the_rule(catalogue, changes, request, proposed):
    release, expected = release_of(catalogue, changes), right(catalogue, changes, request)
    found = release.positions(sorted(expected))
    ids = list(release.ids_at(RequestRule(release, request).with_proposals(found, release.positions(proposed))))
    first = [name for name in proposed if name in expected]
    assert ids == [*first, *(name for name in sorted(expected) if name not in first)][: CANDIDATES[request.task]]
