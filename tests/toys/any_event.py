"""Events of any content, for properties that all of them have."""

from hypothesis import strategies as st

from unified_ranker.core.event import Event

TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
EVENTS = st.builds(
    Event, TEXTS, TEXTS, TEXTS, TEXTS, st.integers(0, 2**40),
    value=st.none() | st.floats(0, 100, width=32),
    query=TEXTS, source_item_id=TEXTS, country=TEXTS, request_id=TEXTS, position=st.none() | st.integers(0, 1000),
)  # fmt: skip
