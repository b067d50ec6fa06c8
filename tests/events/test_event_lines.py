"""Lines of events: a history is read back from them."""

from dataclasses import replace

import hypothesis
from any_event import EVENTS
from hypothesis import strategies as st

from unified_ranker.core.event import Event
from unified_ranker.events.base import MOST
from unified_ranker.events.event_lines import history_of


@hypothesis.given(st.lists(EVENTS, min_size=1, max_size=5))
def test_a_history_holds_what_the_model_reads_of_its_events_in_their_order(events):
    history = history_of([event.line() for event in events])
    for name in ("item_id", "event_type", "task", "timestamp"):
        assert getattr(history, name).tolist() == [getattr(event, name) for event in events]
    assert history.value.tolist() == [event.value or 0.0 for event in events]


CLICK = Event("u", "i", "feed", "click", 5)


def lines_of(*times):
    return [replace(CLICK, item_id=f"i{number}", timestamp=time).line() for number, time in enumerate(times)]


def test_a_history_that_is_not_whole_begins_with_a_whole_second():
    assert len(history_of(lines_of(*[1] * 3, *range(2, MOST - 1)))) == MOST
    cut = history_of(lines_of(*[1] * 4, *range(2, MOST - 1)))
    assert cut.timestamp.tolist() == list(range(2, MOST - 1))
    assert len(history_of(lines_of(*[1] * (MOST + 1)))) == MOST
