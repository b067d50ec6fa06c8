"""Parts that the pages of report and comparison share."""

from unified_ranker.evaluation.comparison.comparison_summary import SliceLine
from unified_ranker.evaluation.page_views import breakdowns_of
from unified_ranker.evaluation.results import Slice


def test_slices_are_grouped_by_dimension_in_the_order_of_a_page():
    warm, cold = Slice("user", "warm", 90, ()), Slice("user", "cold", 10, ())
    found = breakdowns_of([Slice("all", "all", 100, ()), warm, Slice("activity", "0", 4, ()), cold])

    assert list(found) == ["activity", "user"]
    assert found["user"].slices == [warm, cold]
    assert found["user"].title == "By user"
    assert "fewer than 5 events" in found["user"].remark


def test_lines_of_a_comparison_are_grouped_by_the_same_titles():
    line = SliceLine("country", "CH", 3, {"joint model": 0.5})
    found = breakdowns_of([line])["country"]
    of_report = breakdowns_of([Slice("country", "CH", 3, ())])["country"]

    assert found.slices == [line]
    assert (found.title, found.remark) == (of_report.title, of_report.remark)
