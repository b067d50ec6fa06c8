"""Settings that need enough data: negatives, splits, heads; and what signals and baselines need, whoever adds them."""

from dataclasses import replace
from datetime import timedelta
from typing import Literal

import numpy as np
import pandas as pd
import pytest
from declared_toy import NO_TITLES, START, broken, make_config, make_log, the_broken

from unified_ranker.log.need import Need
from unified_ranker.project.declaration_checks import check_declarations
from unified_ranker.signals.base import SignalKind

MANY = 1200


def long_log():
    """As `make_log`, thirty times as long: 600 events of each task."""
    return make_log(rows=MANY)


def with_hard(hard, batch):
    negatives = {"type": "sampled", "uniform": 64, "hard": hard}
    return make_config(search={"negatives": negatives, "imputation": {}}, training={"batch_examples": batch})


def test_more_hard_negatives_than_there_are():
    """Two thirds of a batch are searches: of 90 examples 66, so that 129 negatives stand beside a positive."""
    of_search = 540 / (540 + 216)
    most = 64 + round(90 * of_search) - 1
    refused = the_broken(with_hard(most, 90), long_log())
    assert refused.failed
    assert f"{most} kept of {most}" in refused.line()
    assert f"lower `hard` below {most}" in refused.line()
    assert broken(with_hard(most - 1, 90), long_log()) == []


@pytest.mark.parametrize(
    ("late", "severity", "said"),
    [
        (0.5, None, ""),
        (0.72, "warning", "72/18/10 in place of 80/10/10"),
        (0.18, "error", "18/0/82 in place of 80/10/10"),
    ],
)
def test_a_split_within_simultaneous_events_is_compared_with_the_declared_one(late, severity, said):
    """The share `late` of the positives has times of its own; those up to nine tenths, or all, have one."""
    log = long_log()
    hours = np.arange(MANY)
    end = MANY if severity == "error" else round(0.9 * MANY)
    hours[round(late * MANY) : end] = round(late * MANY) if severity else hours[round(late * MANY) : end]
    times = pd.Series([START + timedelta(hours=int(hour)) for hour in hours])
    positives = {"positives": [{"event_type": "rating", "min_value": 1}]}
    found = broken(make_config(home=positives), replace(log, events=log.events.assign(timestamp=times)))
    shares = [check for check in found if "`split`" in check.name]
    assert [check.severity for check in shares] == ([severity] if severity else [])
    assert all(said in check.line() and "cannot be divided" in check.line() for check in shares)


def test_a_head_whose_events_all_lie_behind_the_fit_window_is_named():
    log, late = long_log(), {"positives": [{"event_type": "click"}, {"event_type": "order"}]}
    clicks = np.flatnonzero(log.events["event_type"] == "click")
    kinds = log.events["event_type"].to_numpy(object).copy()
    kinds[clicks[-1]] = "order"
    behind = replace(log, events=log.events.assign(event_type=pd.array(kinds, "string")))
    found = the_broken(make_config(search=late), behind)
    assert (found.severity, "`order` has none in the fit window" in found.line()) == ("warning", True)
    kinds[clicks[0]] = "order"
    within = replace(log, events=log.events.assign(event_type=pd.array(kinds, "string")))
    assert broken(make_config(search=late), within) == []


def test_a_sample_of_the_log_says_nothing_of_how_many_there_are():
    config = make_config(
        search={
            "negatives": {"type": "sampled", "uniform": 64, "hard": 4},
            "positives": [{"event_type": "click"}, {"event_type": "rare", "head": "k"}],
        }
    )
    found = [c for c in check_declarations(config, make_log(), sampled=True) if not c.passed]
    assert [c.severity for c in found] == ["warning"]
    assert "`positives[1]`" in found[0].line()


class Weather(SignalKind):
    """A signal that no check has heard of."""

    type: Literal["weather"] = "weather"

    def build(self, inputs):
        raise NotImplementedError


class Headlines(Weather):
    def need(self, config, log):
        return Need("items have titles", bool(log.items["title"].notna().any()), "no item has a title")


def test_a_signal_is_checked_by_what_its_declaration_needs():
    config = make_config(item={"features": []}, search={"imputation": {}})
    ranker = config.towers.ranker.model_copy(update={"signals": (Weather(), Headlines())})
    towers = config.towers.model_copy(update={"ranker": ranker})
    checks = check_declarations(config.model_copy(update={"towers": towers}), make_log(items=NO_TITLES))
    lines = [check.line() for check in checks if "signals[" in check.name]
    assert len(lines) == 1, "a signal that needs nothing of the log has nothing to be checked"
    assert "`signals[1]`: weather needs that items have titles" in lines[0]
    assert lines[0].startswith("WARN")


def test_a_baseline_that_nobody_has_registered_is_named():
    config = make_config(evaluation={"baselines": ["popularity", "item-KNN"]})
    check = the_broken(config, make_log())
    assert check.name == "`project.yaml`, `evaluation.baselines[1]`: `item-KNN` is a baseline"
    assert "Did you mean `item-kNN`?" in check.line()
