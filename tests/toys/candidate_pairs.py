"""Small catalogues, requests and tasks that meet every reason of the candidate rule, for hypothesis to draw from."""

import numpy as np
from candidate_oracle import Shown
from hypothesis import strategies as st

from unified_ranker.config import Positive, Task
from unified_ranker.core.candidate_rule import Pairs, excluded_events
from unified_ranker.core.offers import Offers
from unified_ranker.core.request import History, Request
from unified_ranker.core.times import NEVER

ITEMS = ("a", "b", "c", "d")
COUNTRIES = ("DE", "FR", "JP")
TASK = "feed"
TIMES = st.integers(1, 9)
IDS = st.sampled_from([*ITEMS, "", "elsewhere"])
CATALOGUES = st.tuples(
    *(
        st.builds(
            Shown,
            st.just(name),
            st.one_of(st.none(), st.integers(-3, 12)),
            st.lists(st.sampled_from(COUNTRIES), max_size=2, unique=True).map(tuple),
            st.booleans(),
        )
        for name in ITEMS
    )
)
EVENTS = st.lists(
    st.fixed_dictionaries(
        {
            "item_id": st.sampled_from([*ITEMS, "elsewhere"]),
            "event_type": st.sampled_from(["like", "rating"]),
            "task": st.sampled_from([TASK, "search"]),
            "timestamp": TIMES,
            "value": st.sampled_from([0.0, 3.0, 4.0]),
        }
    ),
    max_size=6,
)
REQUESTS = st.builds(
    lambda source, query_item, country, time, events: Request(
        "u",
        TASK,
        source_item_id=source,
        query_item_id=query_item,
        country=country,
        timestamp=time,
        history=History.of(events),
    ),
    IDS,
    IDS,
    st.sampled_from(["", "DE", "FR", "US"]),
    TIMES,
    EVENTS,
)
DECLARED = st.builds(
    lambda exclude, kinds: Task(positives=tuple(kinds), exclude_engaged=exclude),
    st.booleans(),
    st.lists(
        st.sampled_from(
            [
                Positive(event_type="like"),
                Positive(event_type="rating", min_value=4, head="loved"),
                Positive(event_type="rating", above=0, head="rated"),
                Positive(event_type="rating", min_value=4, unrated=True, head="known"),
            ]
        ),
        min_size=1,
        max_size=2,
        unique=True,
    ),
)


def pairs_of(catalogue, requests, declared):
    """The pairs of all requests and items, as NumPy columns."""
    place = {item.item_id: number for number, item in enumerate(catalogue)}
    offers = Offers.of([i.available for i in catalogue], [i.countries for i in catalogue])
    engaged = np.zeros((len(requests), len(catalogue)), bool)
    for row, request in enumerate(requests):
        marked = excluded_events(request.history, request.timestamp, TASK, declared)
        engaged[row, [place[i] for i in request.history.item_id[marked] if i in place]] = True
    return Pairs(
        item=np.arange(len(catalogue))[None],
        created_at=np.array([NEVER if i.created_at is None else i.created_at for i in catalogue])[None],
        moment=np.array([r.timestamp for r in requests])[:, None],
        source_item=np.array([place.get(r.source_item_id, -1) for r in requests])[:, None],
        query_item=np.array([place.get(r.query_item_id, -1) for r in requests])[:, None],
        engaged=engaged,
        offered=np.stack([offers.offered(r.country) for r in requests]),
        available=offers.available[None],
    )
