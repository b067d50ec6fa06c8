"""Lines of events: a history is read back from them."""

import hypothesis
from any_event import EVENTS
from hypothesis import strategies as st

from unified_ranker.events.event_lines import history_of


@hypothesis.given(st.lists(EVENTS, min_size=1, max_size=5))
def test_a_history_holds_what_the_model_reads_of_its_events_in_their_order(events):
    history = history_of([event.line() for event in events])
    for name in ("item_id", "event_type", "task", "timestamp"):
        assert getattr(history, name).tolist() == [getattr(event, name) for event in events]
    assert history.value.tolist() == [event.value or 0.0 for event in events]
