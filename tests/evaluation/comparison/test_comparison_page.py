"""The comparison's page: what it says first, what stands in its tables, and nothing from outside as markup."""

import re
from dataclasses import replace

from unified_ranker.evaluation.comparison.comparison_page import render_comparison
from unified_ranker.evaluation.comparison.comparison_summary import (
    Cost,
    Line,
    ModelComparison,
    SliceLine,
    TaskComparison,
    Verdict,
)
from unified_ranker.evaluation.comparison.transfer import Transfer
from unified_ranker.evaluation.metrics import METRICS, Interval
from unified_ranker.evaluation.results import Diagnosis, RetrievalRecall
from unified_ranker.tasks.head_kinds.base import Bin, HeadReport

EVIL = "<script>alert('x')</script> & \"$\\frac{a}{b}$\" <!-- {{ 7 * 7 }} "


def line(name, kind, value, ratio=None, seeds=1):
    metrics = {metric: Interval(value, value - 0.01, value + 0.01) for metric in METRICS}
    return Line(name, kind, seeds, metrics, (value - 0.02, value + 0.03), ratio)


def task(name="feed", joint=0.3, specialist=0.29, baseline="EASE", head="like"):
    ratio = Interval(joint / specialist, joint / specialist - 0.02, joint / specialist + 0.02)
    bins = (Bin(5, 0.1, 0.2), Bin(5, 0.3, 0.4))
    found = Diagnosis(
        77,
        (RetrievalRecall("declared", {"popularity": 1.0}, {100: 0.4321}),),
        (HeadReport(head, 10, 0.3, 0.2, 0.1, bins),),
    )
    return TaskComparison(
        name,
        1234,
        (
            line("joint model", "joint", joint, seeds=2),
            line("alone", "alone", specialist, ratio),
            line(baseline, "baseline", 0.1),
        ),
        Verdict(ratio, baseline, Interval(joint / 0.1, 2.0, 4.0)),
        (
            SliceLine("activity", "5-19", 70, {"joint model": joint, "alone": specialist, baseline: 0.1}),
            SliceLine("country", "unknown", 0, {}),
        ),
        {"joint": found},
    )


def comparison(*tasks, **more):
    tasks = tasks or (task(),)
    made = ModelComparison(
        "toy", "test", "0123", 2, "hashed", (), tasks, (Transfer("feed", "search", 0.25, 0.5, 0.75),),
        (Cost("joint", 7, 61.4, 5.0, 1234),), {"loss/feed": [2.0, 1.0]},
    )  # fmt: skip
    return replace(made, **more)


def words(page):
    """The page's text, without its tags and its style."""
    return " ".join(re.sub(r"<[^>]*>", " ", re.sub(r"(?s)<style>.*?</style>", "", page)).split())


def test_names_from_outside_are_never_markup():
    page = render_comparison(
        comparison(
            task(EVIL, baseline=EVIL, head=EVIL),
            project=EVIL,
            part=EVIL,
            config_digest=EVIL,
            text_encoder=EVIL,
            derived=(EVIL,),
            transfers=(Transfer(EVIL, EVIL, 0.0, 0.0, 0.0),),
            costs=(Cost(EVIL, 1, 1.0, 1.0, 1),),
            curves={f"{EVIL}/{EVIL}": [1.0]},
        )
    )
    assert "<script" not in page
    assert "<!--" not in page
    assert "49" not in words(page)
    assert words(page).count("&lt;script&gt;alert") > 15


def test_the_page_needs_nothing_from_outside():
    page = render_comparison(comparison())
    assert not re.search(r"https?:|@import|url\((?!#)|<script|<link|<img|src=", page)


def test_a_task_that_misses_stands_first_and_is_marked():
    page = render_comparison(comparison(task("good"), task("missed", joint=0.2)))
    verdict = page[page.index('<section class="alert bad">') : page.index('id="task-0"')]
    assert "The joint model misses its promise" in verdict
    assert verdict.index("missed") < verdict.index("good")
    assert verdict.count('class="below"') == 1
    kept = render_comparison(comparison(task("good")))
    assert "The joint model keeps its promise on every task" in kept
    assert 'class="alert bad"' not in kept


def test_tables_show_lines_slices_diagnoses_and_costs():
    shown = words(render_comparison(comparison(derived=("feed",))))
    for text in (
        "1,234 requests",
        "derived queries, not user queries",
        "joint model joint; 2 seeds, 0.280 to 0.330",
        "alone this task alone; one seed",
        "EASE baseline",
        "By activity of the user events of the user before the request",
        "5-19 70 0.300 0.290 0.100",
        "joint quality weights: declared 0.432",
        "joint like 0.30000 0.20000 0.10000",
        "feed search 0.250 50% 75%",
        "joint 7 61 s 5 s 1,234 MiB",
        "77 requests",
    ):
        assert text in shown, text
    assert "unknown 0 ALL" not in shown


def test_over_a_model_that_finds_nothing_there_is_no_ratio():
    nothing = replace(task(), verdict=Verdict(None, "EASE", None))
    shown = words(render_comparison(comparison(nothing)))
    assert "best baseline: EASE finds nothing finds nothing" in shown
    alone = replace(nothing, lines=nothing.lines[:1], verdict=Verdict(None, "", None))
    assert "best baseline: none none none" in words(render_comparison(comparison(alone)))
