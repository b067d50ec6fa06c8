"""Behaviours of every store of events: LMDB in a directory, a real Redis that the tests start, others."""

import collections
import contextlib
import functools
import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stored_events import event, held, logged

from unified_ranker.core.errors import UserError
from unified_ranker.events.base import HISTORY_STORES, MOST
from unified_ranker.events.open_histories import open_history_store

REGISTRY = HISTORY_STORES


@pytest.fixture
def store(place):
    opened = open_history_store(place)
    yield opened
    opened.close()


def test_history_is_the_users_events_strictly_before_in_order_of_time(store):
    store.append([event(item="b", time=20), event(item="c", time=30, value=4.5), event("other", "x", 15)])
    store.append([event(item="a", time=10)])
    whole = store.before("u", 0)
    assert whole.item_id.tolist() == ["a", "b", "c"]
    assert whole.timestamp.tolist() == [10, 20, 30]
    assert whole.value.tolist() == [0, 0, 4.5]
    assert (whole.task[0], whole.event_type[0]) == ("home_feed", "click")
    assert store.before("u", 30).item_id.tolist() == ["a", "b"]
    assert len(store.before("nobody", 0)) == 0
    assert len(store.before("", 0)) == 0


def test_an_event_reported_twice_is_one(store):
    assert store.append([event(), event(item="j")]) == 2
    assert store.append([event(), event(item="k")]) == 1
    assert sorted(store.before("u", 0).item_id) == ["i", "j", "k"]


def test_a_history_holds_the_latest(store):
    store.append([event(item=f"i{n}", time=n + 1) for n in range(MOST + 20)])
    assert store.before("u", 0).timestamp.tolist() == list(range(21, MOST + 21))
    early = store.before("u", 11)
    assert early.timestamp.tolist() == list(range(1, 11)), "those before a time, though later ones fill a history"
    assert store.before("u", MOST + 11).timestamp.tolist() == list(range(11, MOST + 11)), (
        "as many as there are room for"
    )


def test_whoever_follows_sees_every_event_once_and_in_order(store):
    first = [event(item=f"a{n}") for n in range(5)]
    store.append(first)
    store.append([event("", "anonymous", query="q", country="GB", position=3, request_id="r")])
    seen, position = [], ""
    while part := store.since(position, most=2):
        seen += [one for _, one in part]
        position = part[-1][0]
    assert seen[:5] == first
    assert seen[5] == event("", "anonymous", query="q", country="GB", position=3, request_id="r")
    assert store.since(position) == []
    store.append([event(item="later")])
    assert [one.item_id for _, one in store.since(position)] == ["later"]


def test_a_log_is_imported_once(store):
    events = [event(f"u{n % 3}", f"i{n}", n + 1) for n in range(9)]
    assert store.import_lines(logged(*events), "log 1") == 9
    assert store.import_lines(logged(*events), "log 1") == 0
    assert store.import_lines(logged(*events, event("u0", "z", 99)), "log 2") == 1
    assert store.before("u1", 0).item_id.tolist() == ["i1", "i4", "i7"]
    assert store.append(events[:1]) == 0
    assert store.since("") == [], "what came with the project is no new event"


def test_an_event_that_was_reported_is_known_when_the_log_brings_it_again(store):
    """The log has no query, request and position of it; what it has is what a history holds."""
    store.append([event(item="told", time=5, query="lamp", country="GB", request_id="r", position=3)])
    of_log = [event(item="told", time=5), event(item="told", time=5, value=2.0), event(item="told", time=6)]
    assert store.import_lines(logged(*of_log), "log") == 2
    assert store.before("u", 0).timestamp.tolist() == [5, 5, 6]
    assert sorted(store.before("u", 6).value) == [0, 2]


def test_events_that_differ_in_a_field_that_no_history_holds_are_two(store):
    """Two answers showed the same item, and the user clicked in both within a second."""
    assert store.append([event(query="red"), event(query="blue"), event(query="red")]) == 2
    assert [one.query for _, one in store.since("")] == ["red", "blue"]


FIELDS = {
    "query": "red", "source_item_id": "s", "country": "GB", "position": 0, "request_id": "r", "value": 0.0,
    "microsecond": 400_000, "event_id": "e",
}  # fmt: skip


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("user", ["u", ""])
def test_events_that_differ_in_one_field_are_two_and_each_counts_once(store, user, field):
    one, other = event(user), event(user, **{field: FIELDS[field]})
    assert store.append([one, other]) == 2
    assert store.append([other]) == store.append([one]) == store.append([one, other]) == 0
    assert [found for _, found in store.since("")] == [one, other]
    assert len(store.before(user, 0)) == (2 if user else 0)


def test_an_event_id_is_one_event_of_its_user_whatever_the_rest(store):
    first = event(event_id="e1")
    assert store.append([first, event(time=2000, event_id="e1"), event("v", event_id="e1")]) == 2
    assert store.append([event(item="j", time=3000, event_id="e1"), event(event_id="e2")]) == 1
    assert [(one.user_id, one.event_id) for _, one in store.since("")] == [("u", "e1"), ("v", "e1"), ("u", "e2")]
    assert store.before("u", 0).timestamp.tolist() == [1000, 1000]


def test_equal_events_of_anonymous_users_are_those_of_several_and_a_batch_that_is_sent_again_adds_none(store):
    batch = [event("")] * 50
    assert [store.append(batch), store.append(batch), store.append([event("")] * 60)] == [50, 0, 10]
    assert store.append([event("", event_id="e")] * 3) == 1
    assert len(store.since("")) == 61


drawn = st.builds(
    event,
    user=st.sampled_from(["u", "v", ""]),
    time=st.sampled_from([10, 11]),
    query=st.sampled_from(["", "red"]),
    position=st.sampled_from([None, 0, 1]),
    microsecond=st.sampled_from([0, 1]),
    event_id=st.sampled_from(["", "", "e1", "e2"]),
)
EXAMPLE = itertools.count()


def identities(batch):
    """What the documentation says makes an event one, spelt out: its id, or all of it; of strangers, its number too."""
    seen = collections.Counter()
    for one in batch:
        if one.event_id:
            yield one.user_id, one.event_id
        else:
            yield one, seen[one] if not one.user_id else 0
            seen[one] += 1


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(drawn, min_size=1, max_size=6), min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_every_identity_is_stored_once_however_batches_are_sent_again(store, batches, random):
    number = next(EXAMPLE)
    own = [
        [replace(one, item_id=f"i{number}", event_id=one.event_id and f"{one.event_id}-{number}") for one in batch]
        for batch in batches
    ]
    sent, stored = [*own, *own], set()
    random.shuffle(sent)
    for batch in sent:
        new = set(identities(batch)) - stored
        assert store.append(batch) == len(new)
        stored |= new
    found = [one for _, one in store.since("", most=10**6) if one.item_id == f"i{number}"]
    assert len(found) == len(stored)


def test_a_log_brings_as_many_equal_lines_as_it_has(store):
    """It lacks the fields in which they differ; those that were reported are among them."""
    store.append([event(query="red", request_id="r")])
    assert store.import_lines(logged(*[event()] * 3), "log 1") == 2
    assert store.import_lines(logged(*[event()] * 4, event(item="j")), "log 2") == 2
    assert sorted(store.before("u", 0).item_id) == ["i", "i", "i", "i", "j"]


def test_users_are_found_by_how_they_begin(store):
    store.append([event("anna"), event("anton"), event("bert"), event("ä" * 200)])
    assert store.users("an", 10) == ["anna", "anton"]
    assert len(store.users("", 2)) == 2
    assert store.users("ää", 5) == ["ä" * 200]


def test_changes_of_items_are_kept(store):
    store.put_item("a" * 256, {"title": "A", "year": 1999})
    store.put_item("b", {"title": "B"})
    store.put_item("c", {"available": False}, partial=True)
    store.put_item("b", None)
    assert held(store.item_changes()) == [
        ("a" * 256, {"title": "A", "year": 1999}, False),
        ("c", {"available": False}, True),
        ("b", None, False),
    ]


def test_whoever_follows_changes_of_items_gets_the_latest_of_each_in_order(store):
    assert store.item_changes() == []
    positions = [store.put_item(f"i{n % 3}", {"title": str(n)}) for n in range(7)]
    assert positions == sorted(set(positions))
    assert positions[0] > 0
    assert [change.position for change in store.item_changes(0)] == positions[-3:]
    assert held(store.item_changes(positions[-3])) == [("i2", {"title": "5"}, False), ("i0", {"title": "6"}, False)]
    assert store.item_changes(positions[-1]) == []


def test_a_change_that_follows_from_another_is_stored_while_that_is_the_latest(store):
    first = store.put_item("a", {"title": "1"}, seen=0)
    assert first
    assert store.put_item("a", {"title": "2"}, seen=0) == 0
    second = store.put_item("a", {"title": "3"}, seen=first)
    assert second > first
    assert store.put_item("a", None, seen=first) == 0
    assert held(store.item_changes()) == [("a", {"title": "3"}, False)]


def test_of_many_that_follow_from_the_same_change_one_is_stored(store):
    for turn in range(5):
        seen = sum(change.position for change in store.item_changes())
        with ThreadPoolExecutor(4) as pool:
            put = functools.partial(store.put_item, "a", seen=seen)
            stored = list(pool.map(put, [{"n": n} for n in range(4)]))
        assert len([position for position in stored if position]) == 1, turn


def test_replicas_agree_on_the_latest_value_of_a_name(store):
    assert store.agreed("releases") is None
    first = store.agree("releases", {"stable": 1, "before": [3]})
    second = store.agree("releases", {"stable": 2})
    store.agree("other", {})
    assert second > first
    assert store.agreed("releases") == (second, {"stable": 2})


def test_a_reader_never_keeps_what_was_before_an_acknowledged_event(store):
    wrong = []

    def write(user):
        for n in range(40):
            store.append([event(user, f"i{n}", n + 1)])
            if len(store.before(user, 0)) < n + 1:
                wrong.append((user, n))

    threads = [threading.Thread(target=write, args=(f"u{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_it_keeps_all_when_it_is_opened_again(place):
    with contextlib.closing(open_history_store(place)) as store:
        store.append([event()])
        store.put_item("x", {"title": "X"})
        store.agree("releases", {"stable": 2})
    with contextlib.closing(open_history_store(place)) as again:
        again.ping()
        assert again.before("u", 0).item_id.tolist() == ["i"]
        assert held(again.item_changes()) == [("x", {"title": "X"}, False)]
        assert again.agreed("releases")[1] == {"stable": 2}
        assert again.append([event(item="second")]) == 1
        assert [one.item_id for _, one in again.since("")] == ["i", "second"]


def test_a_place_that_is_none_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="must be a directory that can be written"):
        open_history_store(str(tmp_path / "file"))
    with pytest.raises(UserError, match=r"unknown store of events `redos`. Known: .*`redis`.* Did you mean `redis`"):
        open_history_store("redos://here")
