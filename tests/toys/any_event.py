"""Events of any content, for properties that all of them have."""

from hypothesis import strategies as st

from unified_ranker.config import Positive
from unified_ranker.core.event import Event

TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
EVENTS = st.builds(
    Event, TEXTS, TEXTS, TEXTS, TEXTS, st.integers(0, 2**40),
    value=st.none() | st.floats(0, 100, width=32),
    query=TEXTS, source_item_id=TEXTS, country=TEXTS, request_id=TEXTS, position=st.none() | st.integers(0, 1000),
)  # fmt: skip
BOUNDS = st.sampled_from(
    [{}, {"min_value": -2.0}, {"min_value": 0.0}, {"min_value": 4.0}, {"min_value": 4.0, "unrated": True},
     {"above": -2.0}, {"above": 0.0}, {"above": 3.5, "unrated": True}]
)  # fmt: skip
COUNTED = st.builds(
    lambda kind, bound: Positive(event_type=kind, **bound), st.sampled_from(["click", "rating", "buy"]), BOUNDS
)
"""Kinds of events that a task counts, by any bound of their values."""
