"""Parts of the report that explain a model: what decides, real requests, concentration, verdicts and lift."""

import dataclasses
import json
import re

from report_toy import EVIL, Page, evaluated, rendered, report

from unified_ranker.evaluation.blend_weights import ChannelWeight, TaskBlend
from unified_ranker.evaluation.metrics import Interval
from unified_ranker.evaluation.report import Report
from unified_ranker.evaluation.results import TaskEvaluation
from unified_ranker.evaluation.shown_requests import ShownItem, ShownRequest
from unified_ranker.evaluation.top_items import Concentration

BLEND = TaskBlend(
    "home_feed",
    1234,
    0.875,
    0.21,
    (
        ChannelWeight("ease: score", 2.0, 0.15),
        ChannelWeight("head", 0.5, 0.125),
        ChannelWeight("newest: newness", 0.0, 0.0625),
    ),
)


def test_what_decides_is_a_table_of_bars_largest_first(tmp_path):
    made = report(evaluated(), blends=(BLEND,))
    text = rendered(made, tmp_path)
    shown = Page(text).text

    assert "What decides" in shown
    assert "1,234 requests" in shown
    assert "the candidates of 88 % of them" in shown
    assert "the blend 0.2100" in shown
    assert "ease: score 2.000 0.1500 head 0.500 0.1250" in shown
    widths = re.findall(r"width:(\d+)%", text[text.index("What decides") : text.index('id="training"')])
    assert widths == ["100", "25", "0"]
    silent = text[text.index("<details><summary>1 channels without weight") :]
    assert "newest: newness" in silent[: silent.index("</details>")]
    assert Report.from_json(json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))) == made


def test_a_blend_that_was_kept_has_weights_alone(tmp_path):
    kept = TaskBlend("home_feed", 0, 0.0, None, (ChannelWeight("head", 1.0),))
    shown = Page(rendered(report(evaluated(), blends=(kept,)), tmp_path)).text

    assert "the blend of the release that training continued from" in shown
    assert "head 1.000 not measured" in shown
    assert "What decides" not in rendered(report(evaluated("search"), blends=(BLEND,)), tmp_path)


def shown_request(**more):
    items = (ShownItem("Red Lamp"), ShownItem("Blue Chair", taken=True))
    settings = {
        "timestamp": 86400,
        "events": 9,
        "last": ("Old Vase", "Older Vase"),
        "query": "chair",
        "source": "A Table",
        "recommended": items,
        "taken": "Blue Chair",
        "rank": 2.0,
        "event": "buy",
    }
    return ShownRequest(**settings | more)


def test_real_requests_are_shown_with_what_was_taken_marked(tmp_path):
    task = TaskEvaluation(**vars(evaluated()) | {"shown": (shown_request(), shown_request(rank=None, last=()))})
    made = report(task)
    text = rendered(made, tmp_path)
    shown = Page(text).text

    for words in (
        "when 1970-01-02",
        "query chair",
        "source item A Table",
        "last items of the user, of 9 events Old Vase; Older Vase",
        "taken next (buy) Blue Chair rank 2 Red Lamp Blue Chair taken next",
        "Blue Chair no candidate",
    ):
        assert words in shown, words
    assert re.findall(r'<li class="taken">([^<]*?) <', text) == ["Blue Chair"] * 2
    assert Report.from_json(json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))) == made


def test_titles_are_never_markup(tmp_path):
    texts = dict.fromkeys(("query", "source", "taken", "event"), EVIL)
    evil = shown_request(last=(EVIL,), recommended=(ShownItem(EVIL, True),), **texts)
    blend = TaskBlend("home_feed", 9, 0.5, 0.1, (ChannelWeight(EVIL, 1.0, 0.1),))
    found = (Concentration(EVIL, 0.1, 0.2, 0.3),)
    task = dataclasses.replace(evaluated(), shown=(evil,), concentrations=found)
    text = rendered(report(task, blends=(blend,)), tmp_path)
    page = Page(text)

    assert "script" not in page.elements
    assert "<!--" not in text
    assert page.text.count(" ".join(EVIL.split())) == 8


def test_coverage_and_concentration_are_there(tmp_path):
    found = (Concentration("joint model", 0.5, 0.25, 0.75), Concentration("EASE", 0.125, 0.5, 0.9))
    shown = Page(rendered(report(TaskEvaluation(**vars(evaluated()) | {"concentrations": found})), tmp_path)).text

    assert "joint model 50.0 % 25.0 % 0.750 EASE 12.5 % 50.0 % 0.900" in shown


def lifted(name, model, baseline):
    task = evaluated(name, model, baseline, scorer="joint model")
    ratio = Interval(model / baseline, model / baseline - 0.1, model / baseline + 0.1)
    compared = tuple(dataclasses.replace(c, ratio=ratio) for c in task.comparisons)
    return dataclasses.replace(task, comparisons=compared)


def test_verdicts_stand_first_in_words_and_as_bars_of_lift(tmp_path):
    text = rendered(report(lifted("home_feed", 0.05, 0.1), lifted("search", 0.3, 0.2)), tmp_path)
    alert = text[text.index('<section class="alert bad">') :]
    alert = alert[: alert.index("</section>")]

    shown = Page(alert + "</section>").text
    assert "home_feed: 50 % below the best simple method (EASE), NDCG@10 0.050 against 0.100" in shown
    assert "search: +50 % NDCG@10 over the best simple method (EASE), 0.300 against 0.200" in shown
    assert alert.count('class="lost"') == 1
    assert 'aria-label="NDCG@10 over the best baseline: home_feed 0.50 times, search 1.50 times"' in alert
    assert ("var(--bad)" in alert, "var(--model)" in alert) == (True, True)
    good = rendered(report(lifted("search", 0.3, 0.2)), tmp_path)
    good = good[good.index('<section class="alert good">') : good.index('id="task-0"')]
    assert ("var(--bad)" in good, 'class="lost"' in good) == (False, False)
