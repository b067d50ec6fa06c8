"""Real requests for the reader of a report: titles of what came before, was recommended, and was taken."""

import numpy as np
import pytest
from log_by_rows import event, item, task, world

from unified_ranker.core.arrays import MISSING
from unified_ranker.evaluation.shown_requests import LAST_ITEMS, SHOWN, show_requests

ITEMS = [item(f"i{n:02}", f"Title {n}" if n != 3 else None) for n in range(20)]


@pytest.fixture(scope="module")
def prepared():
    rows = [event("me", f"i{n:02}", n) for n in range(12)]
    rows += [event(None, "i01", 20 + n, "search", query="red", source_item_id="i05") for n in range(30)]
    return world(rows, ITEMS, {"home_feed": task(), "search": task()})[0]


def of_task(prepared, name):
    return prepared.examples.take(prepared.examples.task == name)


def shown(prepared, name, ranks=1.0, top=None, seed=7):
    requests = of_task(prepared, name)
    if top is None:
        top = np.tile(np.arange(10), (len(requests), 1))
    return show_requests(name, requests, np.full(len(requests), ranks), top, prepared, seed)


def test_it_tells_what_came_before_newest_first_and_strictly_before(prepared):
    for one in shown(prepared, "home_feed"):
        number = one.events
        before = [f"Title {n}" if n != 3 else "i03" for n in range(number)][::-1][:LAST_ITEMS]
        assert list(one.last) == before
        assert one.taken == (f"Title {number}" if number != 3 else "i03")


def test_what_was_taken_is_marked_where_it_is_among_the_ten(prepared):
    for one in shown(prepared, "home_feed"):
        marked = [recommended.title for recommended in one.recommended if recommended.taken]
        assert marked == ([one.taken] if one.events < 10 else [])
        assert one.rank == 1


def test_a_search_has_its_query_and_its_source_item_and_nobody_has_no_past(prepared):
    found = shown(prepared, "search", ranks=np.inf)
    assert {(one.query, one.source, one.last, one.rank) for one in found} == {("red", "Title 5", (), None)}


def test_places_without_an_item_are_left_out(prepared):
    top = np.full((len(of_task(prepared, "search")), 10), MISSING)
    top[:, :2] = 4, 1
    titles = {tuple(each.title for each in one.recommended) for one in shown(prepared, "search", top=top)}
    assert titles == {("Title 4", "Title 1")}


def test_the_draw_is_seeded_and_in_order_of_time(prepared):
    found = shown(prepared, "search")
    assert len(found) == SHOWN
    assert found == shown(prepared, "search")
    assert [one.timestamp for one in found] == sorted({one.timestamp for one in found})
    others = {tuple(one.timestamp for one in shown(prepared, "search", seed=seed)) for seed in range(8)}
    assert len(others) > 1


def test_of_few_requests_all_are_shown(prepared):
    requests = of_task(prepared, "search").take(np.arange(2))
    top = np.tile(np.arange(10), (2, 1))
    assert len(show_requests("search", requests, np.ones(2), top, prepared, 7)) == 2
    assert show_requests("search", requests.take(np.arange(0)), np.ones(0), top[:0], prepared, 7) == ()
