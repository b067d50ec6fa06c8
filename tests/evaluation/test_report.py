"""The report's page and its JSON: complete, self-contained, and nothing from outside taken as markup."""

import json
import re
import subprocess
import sys

import pytest
from report_toy import EVIL, Page, empty, evaluated, rendered, report

from unified_ranker.evaluation.metrics import METRICS
from unified_ranker.evaluation.report import DataFacts, IndexRecall, Report, StageCost
from unified_ranker.evaluation.report_files import write_report
from unified_ranker.evaluation.results import (
    AgedCounts,
    Diagnosis,
    RetrievalRecall,
    Slice,
    TaskEvaluation,
)
from unified_ranker.tasks.head_kinds.base import Bin, HeadReport


def diagnosed(head="like"):
    bins = (Bin(500, 0.001, 0.0), Bin(500, 0.02, 0.025))
    retrieval = (
        RetrievalRecall("declared", {"popularity": 0.25, "trend": 0.0}, {100: 0.4321, 500: 0.8}),
        RetrievalRecall("none", {"popularity": 0.0, "trend": 0.0}, {100: 0.4, 500: 0.7}),
    )
    calibration = HeadReport(head, 1000, 0.0125, 0.0105, 0.003, bins)
    return TaskEvaluation(
        **vars(evaluated()) | {"diagnosis": Diagnosis(77, retrieval, (calibration,), aged=AgedCounts(0.58, 0.38))}
    )


def test_what_lies_behind_the_ranks_is_there(tmp_path):
    index = IndexRecall(False, "scann", {"leaves": 1040, "reorder": 550}, queries=64, recall=0.9875)
    made = report(diagnosed(EVIL), index=index)
    text = rendered(made, tmp_path)
    page = Page(text)
    for shown in (
        "declared popularity 0.25 0.432 0.800",
        "none 0.400 0.700",
        "77 requests",
        "home_feed: With counts a day old: NDCG@10 0.380 instead of 0.580 (-34 %)",
        "1,000 0.01250 0.01050 0.00300",
        "scann finds 0.9875 of the 100 items",
        "(leaves 1,040, reorder 550)",
        "searches exactly, because it is small",
        "5-19 70",
    ):
        assert shown in page.text, shown
    assert "script" not in page.elements
    assert text.count('aria-label="') == len(METRICS) + 1 + 2, "bars, one reliability plot, two of curves"
    assert Report.from_json(json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))) == made


def test_json_holds_the_report_and_reads_back(tmp_path):
    made = report(evaluated(), empty("search"), notes=["thin"], versions={"numpy": "2"}, git_commit="abc")
    write_report(made, tmp_path / "new" / "folder")
    values = json.loads((tmp_path / "new" / "folder" / "report.json").read_text(encoding="utf-8"))

    assert Report.from_json(values) == made
    assert values["evaluation"]["tasks"][0]["slices"][0]["rows"][0]["metrics"]["ndcg@10"]["value"] == 0.2


def test_page_needs_nothing_from_outside(tmp_path):
    text = rendered(report(evaluated(), evaluated("search", derived=True)), tmp_path)
    page = Page(text)

    assert not {"script", "link", "img", "iframe", "object", "base", "form", "metadata"} & set(page.elements)
    assert page.elements.count("style") == 1
    sources = [value for _, name, value in page.attributes if name in {"href", "src", "xlink:href", "action"}]
    assert sources
    assert all(value.startswith("#") for value in sources)
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert not re.search(r"https?:|@import|url\((?!#)|//", text)


def test_ids_are_unique_and_every_link_has_its_target(tmp_path):
    text = rendered(report(evaluated(), evaluated("search")), tmp_path)
    attributes = Page(text).attributes
    ids = [value for _, name, value in attributes if name == "id"]
    targets = {value[1:] for _, name, value in attributes if name == "href"} | set(re.findall(r"url\(#([^)]+)\)", text))

    assert len(ids) == len(set(ids))
    assert targets
    assert targets <= set(ids)


def test_text_from_outside_is_never_markup(tmp_path):
    task = evaluated(EVIL, scorer=EVIL, country=EVIL, derived=True)
    made = report(
        TaskEvaluation(**vars(task) | {"notes": {EVIL: EVIL}, "unreachable": {EVIL: 3}}),
        TaskEvaluation(**vars(empty(EVIL)) | {"remark": EVIL}),
        project=EVIL,
        description=EVIL,
        release=EVIL,
        created_at=EVIL,
        config_digest=EVIL,
        text_encoder=EVIL,
        data=DataFacts(EVIL, {EVIL: 1}, 0, 1, 2, 3, 2),
        curves={f"{EVIL}/{EVIL}": [1.0], "loss": [1.0]},
        stages=[StageCost(EVIL, 1.0)],
        notes=[EVIL],
        git_commit=EVIL,
        versions={EVIL: EVIL},
    )
    text = rendered(made, tmp_path)
    page = Page(text)

    assert "script" not in page.elements
    assert "<!--" not in text
    # The name stands in the page as it is: title, heading, tables, remark, stages and notes.
    assert page.text.count(" ".join(EVIL.split())) > 15


def test_scorer_names_with_dollars_are_drawn_as_they_are(tmp_path):
    page = Page(rendered(report(evaluated(scorer="cost $x^2$")), tmp_path))

    # Table head, table row, comparison, breakdowns, and once beside the bar of each metric.
    assert page.text.count("cost $x^2$") > 2 + len(METRICS)


def test_a_model_below_the_best_baseline_is_said_first_and_in_red(tmp_path):
    text = rendered(report(evaluated("home_feed", model=0.05), evaluated("search", model=0.5)), tmp_path)

    alert, first_task = text.index('<section class="alert bad">'), text.index('id="task-0"')
    assert alert < first_task
    shown = Page(text[alert : text.index("</section>", alert) + len("</section>")]).text
    assert "A model is below the best baseline" in shown
    assert "-0.0500 -0.0700 to -0.0300 vs EASE" in shown.replace("\N{MINUS SIGN}", "-")
    assert text[alert:first_task].count('<td class="below">') == len(METRICS)
    assert text.count('class="alert bad"') == 1


def test_a_model_at_the_baseline_is_not_below_it(tmp_path):
    text = rendered(report(evaluated(model=0.1, baseline=0.1)), tmp_path)

    assert "Every model is at least as good as the best baseline" in text
    assert 'class="alert bad"' not in text
    assert "may be chance" in text


def test_baselines_alone_make_a_report_too(tmp_path):
    task = evaluated()
    alone = tuple(Slice(s.dimension, s.name, s.requests, s.rows[1:]) for s in task.slices)
    text = rendered(report(TaskEvaluation(**vars(task) | {"slices": alone, "comparisons": ()})), tmp_path)

    assert "No model was compared with a baseline" in text
    assert "two-tower" not in text


def test_best_of_each_column_is_bold(tmp_path):
    text = rendered(report(evaluated(model=0.25, baseline=0.1)), tmp_path)
    table = text[text.index('id="task-0"') :]
    table = table[: table.index("</table>")]

    assert re.findall(r'<td class="best"><span>([\d.]+)', table) == ["0.250"] * len(METRICS)
    assert table.count("0.240 to 0.260") == len(METRICS)


def test_derived_tasks_are_marked_and_others_are_not(tmp_path):
    text = rendered(report(evaluated("home_feed"), evaluated("search", derived=True)), tmp_path)
    sections = re.split(r'id="task-\d"', text)

    assert "Derived tasks: search" in sections[0]
    assert "derived queries, not user queries" not in sections[1]
    assert '<span class="badge">derived queries, not user queries</span>' in sections[2]
    assert "derived queries" not in rendered(report(evaluated("home_feed")), tmp_path)


def test_a_task_without_requests_says_so(tmp_path):
    assert "No numbers: no requests in the slice." in rendered(report(empty("search")), tmp_path)


def test_header_stages_and_breakdowns_are_there(tmp_path):
    page = Page(rendered(report(notes=["Thin in search."]), tmp_path))

    for text in (
        "12,345 events, 20 items",
        "0123456789abcdef",
        "1970-01-01 00:33 UTC",
        "hashed",
        "100 of 500 requests",
        "GB 60",
        "unknown 40",
        "cold 10",
        "train 61.5 s 1,234 MiB",
        "export 3.0 s not measured",
        "all 64.5 s",
        "Thin in search.",
        "not in a git repository",
    ):
        assert text in page.text, text


def test_curves_share_a_plot_by_the_name_before_the_slash(tmp_path):
    text = rendered(report(), tmp_path)

    labels = re.findall(r'aria-label="([^"]* by epoch: [^"]*)"', text)
    assert labels == ["loss by epoch: search, home_feed", "learning rate by epoch: learning rate"]


def test_the_same_report_is_the_same_page(tmp_path):
    assert rendered(report(), tmp_path / "a") == rendered(report(), tmp_path / "b")


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_number_that_json_cannot_hold_stops_before_anything_is_written(tmp_path, bad):
    write_report(report(), tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    with pytest.raises(ValueError, match="JSON compliant"):
        write_report(report(curves={"loss": [bad]}), tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert set(before) == {"report.json", "report.html"}


def test_evaluation_loads_neither_tensorflow_nor_matplotlib():
    code = (
        "import sys\n"
        "import unified_ranker.evaluation.protocol, unified_ranker.evaluation.report\n"
        "import unified_ranker.evaluation.report_page, unified_ranker.evaluation.baselines.selection\n"
        "print([m for m in ('tensorflow', 'tf_keras', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
