"""An event as clients report it: identity over every field, and what a history keeps of it."""

from dataclasses import fields, replace

import hypothesis
import pytest
from hypothesis import strategies as st

from unified_ranker.core.event import Event
from unified_ranker.events.event_lines import history_of

EVENT = Event("u", "i", "search", "click", 1000, 2.5, "red lamp", "j", "GB", "r", 3)
OTHER = Event("v", "k", "home_feed", "buy", 1001, None, "blue lamp", "l", "DE", "s", 4)
FIELDS = [field.name for field in fields(Event)]


@pytest.mark.parametrize("name", FIELDS)
def test_two_events_that_differ_in_one_field_are_two(name):
    assert replace(EVENT, **{name: getattr(OTHER, name)}).digest() != EVENT.digest()


def test_the_same_event_is_one_in_any_process():
    assert Event(*(getattr(EVENT, name) for name in FIELDS)).digest() == EVENT.digest()
    assert len(EVENT.digest()) == 8


texts = st.text(st.characters(codec="utf-8"), max_size=8)
events = st.builds(
    Event, texts, texts, texts, texts, st.integers(0, 2**40),
    value=st.none() | st.floats(0, 100, width=32),
    query=texts, source_item_id=texts, country=texts, request_id=texts, position=st.none() | st.integers(0, 1000),
)  # fmt: skip


@hypothesis.given(events)
def test_a_record_holds_the_whole_event(event):
    assert Event.of_record(event.record()) == event


@hypothesis.given(st.lists(events, min_size=1, max_size=5))
def test_a_history_holds_what_the_model_reads_of_its_events_in_their_order(told):
    history = history_of([event.line() for event in told])
    for name in ("item_id", "event_type", "task", "timestamp"):
        assert getattr(history, name).tolist() == [getattr(event, name) for event in told]
    assert history.value.tolist() == [event.value or 0.0 for event in told]


@hypothesis.given(events, events)
def test_the_fields_of_two_events_do_not_run_together(one, other):
    assert (one.digest() == other.digest()) == (one == other)
