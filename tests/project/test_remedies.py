"""Remedies that `validate` prints: each line of YAML is put in as it stands, and the finding is gone."""

import re
import shutil

import numpy as np
import pandas as pd
import pytest
from drawn_log import csv, drawn, stamped
from small_project import cli

from unified_ranker.config.loading import load_config
from unified_ranker.project.prepare_stage import validate
from unified_ranker.project.stage_context import StageContext
from unified_ranker.project.workspace import Workspace

LINE = r"`((?:data|tasks)\.[\w.]+: [^`]+)`"


def sound():
    """A month of ratings of items with titles, in columns of other names."""
    e = drawn()
    events = pd.DataFrame(
        {
            "visitor": [f"u{n}" for n in e.user],
            "product": [f"i{n}" for n in e.item],
            "action": np.where(e.draw < 0.7, "rating", "visit"),
            "stars": np.where(e.draw < 0.7, 1 + (e.draw * 7).astype(int), np.nan),
            "land": np.where(e.draw < 0.4, "DE", "FR"),
            "when": stamped(e.time),
        }
    )
    items = pd.DataFrame(
        {"id": [f"i{n}" for n in range(40)], "name": [f"Thing {n} of wood" for n in range(40)],
         "launched": stamped(e.time.min() - 86_400 * np.arange(1, 41))}
    )  # fmt: skip
    return events, items


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A project that `init` wrote for the sound log, whose paths are relative."""
    shop = tmp_path_factory.mktemp("remedies") / "shop"
    events, items = sound()
    csv(events, shop / "data" / "events.csv")
    csv(items, shop / "data" / "items.csv")
    columns = ("user_id=visitor", "item_id=product", "timestamp=when", "country=land", "items.created_at=launched")
    said = [option for column in columns for option in ("--map", column)]
    done = cli("init", shop, "--events", shop / "data" / "events.csv", "--items", shop / "data" / "items.csv", *said)
    assert done.exit_code == 0, done.output
    assert [line for line in findings(shop) if "distinct" not in line] == []
    return shop


def findings(shop, *overrides):
    """Return the lines of what did not pass, by rule."""
    found = validate(StageContext(Workspace(shop, config := load_config(shop, overrides)), config))
    return {check.name: check.line() for check in found if not check.passed}


def some(events, count, **columns):
    """Replace columns of some rows."""
    rows = events.sample(count, random_state=3).index
    return events.assign(**{c: events[c].astype(object).mask(events.index.isin(rows), v) for c, v in columns.items()})


BROKEN = {
    "a bot": ("no user has 5 %", lambda e, i: (some(e, 300, visitor="crawler"), i)),
    "a home page": (
        "no item has 5 %",
        lambda e, i: (some(e, 300, product="home"), pd.concat([i, i.head(1).assign(id="home")])),
    ),
    "two spellings of a type": ("events.event_type has one spelling", lambda e, i: (some(e, 90, action="Visit"), i)),
    "users in capitals": (
        "events.user_id has one spelling",
        lambda e, i: (e.assign(visitor=e.visitor.mask(e.index % 5 == 0, e.visitor.str.upper())), i),
    ),
    "blanks behind ids": (
        "events.item_id is known in items",
        lambda e, i: (e.assign(product=e["product"].mask(e.index % 50 == 0, e["product"] + " ")), i),
    ),
    "ids in capitals": (
        "events.item_id is known in items",
        lambda e, i: (e.assign(product=e["product"].mask(e.index % 50 == 0, e["product"].str.upper())), i),
    ),
    "names of countries": ("events.country is an alpha-2 code", lambda e, i: (some(e, 200, land="Austria"), i)),
    "filler dates": ("events.timestamp has no outliers", lambda e, i: (some(e, 2, when="1975-01-01"), i)),
    "words that mean absent": ("events.country has no words", lambda e, i: (some(e, 50, land="-"), i)),
    "placeholders": (
        "every number of `rating` is a value",
        lambda e, i: (e.assign(stars=e.stars.mask((e.stars == 3) & (e.index % 2 == 0), 99)), i),
    ),
    "creation after events": (
        "events happen after their item's created_at",
        lambda e, i: (e, i.assign(launched=["2019-11-01"] * 20 + ["2018-01-01"] * 20)),
    ),
    "creation with the first event": (
        "items.created_at is not the time of their first event",
        lambda e, i: (e, i.assign(launched=i.id.map(e.groupby("product")["when"].min()))),
    ),
    "most titles missing": ("most items have a title", lambda e, i: (e, i.assign(name=i.name.where(i.index < 5)))),
}  # fmt: skip
UNMENDED = {
    "events are distinct": "equal events count once already: there is nothing to change",
    "`towers/item.yaml`, `quality.rating`: values are of one kind of event": "which of them is a rating is not known",
}
"""Findings without a line that removes them, and why."""


@pytest.mark.parametrize(("rule", "change"), BROKEN.values(), ids=BROKEN)
def test_the_line_of_a_remedy_mends_what_was_found(rule, change, shop, tmp_path):
    broken = tmp_path / "shop"
    shutil.copytree(shop, broken, ignore=shutil.ignore_patterns(".unified_ranker"))
    text = (broken / "project.yaml").read_text().replace(str(shop), str(broken))
    (broken / "project.yaml").write_text(text)
    events, items = change(*sound())
    csv(events, broken / "data" / "events.csv")
    csv(items, broken / "data" / "items.csv")
    found = findings(broken, "project.data.max_bad_share=0.1")
    assert any(rule in name for name in found), found
    for name, line in found.items():
        if name in UNMENDED:
            continue
        remedy = re.split(r",? or (?:to )?(?=`)", line.rpartition("→")[2])[0]
        lines = re.findall(LINE, remedy)
        assert lines, f"no line mends it: {line}"
        put_in = [f"project.{text}" if text.startswith("data.") else text for text in lines]
        overrides = [text.replace(": ", "=", 1) for text in put_in]
        share = [] if any("max_bad_share" in text for text in overrides) else ["project.data.max_bad_share=0.1"]
        assert name not in findings(broken, *share, *overrides), (line, overrides)


def test_a_rating_that_counts_whatever_it_says_is_mended_by_its_line(shop):
    every = "tasks.home_feed.positives=[{event_type: rating, head: like}, {event_type: visit}]"
    (name,) = [name for name in findings(shop, every) if "says no" in name]
    line = findings(shop, every)[name]
    mended = [text.replace(": ", "=", 1) for text in re.findall(LINE, line)]
    assert len(mended) == 2
    assert [name in findings(shop, every, text) for text in mended] == [False, False]


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("holds no other rows", lambda line: line.replace(",u", ',"u').replace(",r", ',"r').replace(",v", ',"v')),
        ("is a number", lambda line: line.rsplit(",", 3)[0] + ",unknown,DE,2019-11-02 10:00:00+00:00"),
    ],
)
def test_the_line_for_rows_that_cannot_be_read_has_the_file_and_what_is_declared(name, changed, shop, tmp_path):
    broken = tmp_path / "shop"
    shutil.copytree(shop, broken, ignore=shutil.ignore_patterns(".unified_ranker"))
    (broken / "project.yaml").write_text((broken / "project.yaml").read_text().replace(str(shop), str(broken)))
    file = broken / "data" / "events.csv"
    rows = file.read_text().splitlines()
    file.write_text("\n".join([*rows[:600], changed(rows[600]), *rows[601:]]) + "\n")
    found = findings(broken)
    (rule,) = [rule for rule in found if name in rule]
    lines = re.findall(LINE, found[rule])
    overrides = [f"project.{text}".replace(": ", "=", 1) for text in lines[:1]]
    assert rule not in findings(broken, *overrides), overrides
