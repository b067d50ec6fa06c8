"""An event as clients report it: identity over every field."""

from dataclasses import fields, replace

import hypothesis
import pytest
from any_event import EVENTS

from unified_ranker.core.event import Event

EVENT = Event("u", "i", "search", "click", 1000, 2.5, "red lamp", "j", "GB", "r", 3)
OTHER = Event("v", "k", "home_feed", "buy", 1001, None, "blue lamp", "l", "DE", "s", 4, "given", 250_000)
FIELDS = [field.name for field in fields(Event)]


@pytest.mark.parametrize("name", FIELDS)
def test_two_events_that_differ_in_one_field_are_two(name):
    assert replace(EVENT, **{name: getattr(OTHER, name)}).digest() != EVENT.digest()


def test_the_same_event_is_one_in_any_process():
    assert Event(*(getattr(EVENT, name) for name in FIELDS)).digest() == EVENT.digest()
    assert len(EVENT.digest()) == 8


@hypothesis.given(EVENTS)
def test_a_record_holds_the_whole_event(event):
    assert Event.of_record(event.record()) == event


@hypothesis.given(EVENTS, EVENTS)
def test_the_fields_of_two_events_do_not_run_together(one, other):
    assert (one.digest() == other.digest()) == (one == other)
