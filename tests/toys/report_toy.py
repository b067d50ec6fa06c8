"""A report of made-up numbers, and its page as a browser sees it."""

from html.parser import HTMLParser

from unified_ranker.evaluation.metrics import METRICS, Interval
from unified_ranker.evaluation.report import DataFacts, Report, StageCost
from unified_ranker.evaluation.report_files import write_report
from unified_ranker.evaluation.results import Evaluation, PairedComparison, Row, Slice, TaskEvaluation

EVIL = "<script>alert('x')</script> & \"$\\frac{a}{b}$\" <!-- "
VOID = {"meta", "br", "wbr", "path", "use"}


class Page(HTMLParser):
    """What a browser would see: elements, attributes and text. Elements must close in order."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.attributes, self.texts, self.open = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())


def row(name, kind, value):
    return Row(name, kind, {m: Interval(value, value - 0.01, value + 0.01) for m in METRICS})


def evaluated(name="home_feed", model=0.2, baseline=0.1, derived=False, scorer="two-tower", country="GB"):
    rows = (row(scorer, "model", model), row("EASE", "baseline", baseline))
    difference = Interval(model - baseline, model - baseline - 0.02, model - baseline + 0.02)
    return TaskEvaluation(
        task=name,
        derived=derived,
        available=500,
        requests=100,
        unreachable={},
        slices=(
            Slice("all", "all", 100, rows),
            Slice("country", country, 60, rows),
            Slice("country", "unknown", 40, rows),
            Slice("user", "cold", 10, rows),
            Slice("user", "warm", 90, rows),
            Slice("item", "cold", 0, ()),
            Slice("item", "warm", 100, rows),
            Slice("activity", "5-19", 70, rows),
        ),
        comparisons=tuple(PairedComparison(scorer, m, "EASE", difference) for m in METRICS),
        notes={},
        seconds={scorer: 1.0, "EASE": 0.1},
        remark="",
    )


def empty(name):
    return TaskEvaluation(name, False, 0, 0, {}, (), (), {}, {}, "no requests in the slice")


def report(*tasks, **more):
    settings = {
        "project": "toy",
        "description": "a toy",
        "release": "r1",
        "created_at": "2026-01-01T00:00:00Z",
        "config_digest": "0123456789abcdef",
        "text_encoder": "hashed",
        "data": DataFacts("a file", {"events": 12345, "items": 20}, 0, 1000, 2000, 3000, 2000),
        "evaluation": Evaluation("test", 2000, None, 20, 7, 1000, tasks or (evaluated(),)),
        "curves": {
            "loss/search": [3.0, 2.0, None],
            "loss/home_feed": [3.0, 2.5, 2.2],
            "learning rate": [0.1, 0.2],
        },
        "stages": [StageCost("train", 61.5, 1234.0), StageCost("export", 3.0)],
    }
    return Report(**settings | more)


def rendered(made, directory):
    write_report(made, directory)
    return (directory / "report.html").read_text(encoding="utf-8")
