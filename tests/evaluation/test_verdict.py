"""Verdicts in words: who is better by how much, and which link failed first where the model is not."""

import dataclasses

import pytest

from unified_ranker.core.errors import UserError
from unified_ranker.evaluation.baselines.base import BASELINES
from unified_ranker.evaluation.metrics import METRICS, Interval
from unified_ranker.evaluation.results import (
    JOINT,
    Diagnosis,
    Evaluation,
    PairedComparison,
    RankedCandidateFacts,
    Row,
    Slice,
    TaskEvaluation,
)
from unified_ranker.evaluation.verdict import require_baselines, verdict_of, verdicts_of
from unified_ranker.signals.base import SIGNALS

EVERY_SIGNAL = tuple(SIGNALS)
CHANCE = "the difference may be chance"


def interval(value, half=0.01):
    return Interval(value, value - half, value + half)


def row(name, kind, value, ten):
    return Row(name, kind, dict.fromkeys(METRICS, interval(value)) | {"recall@10": interval(ten)})


def measured(joint, best, baseline="EASE", ten=0.5, name="home_feed", **facts):
    """A task: NDCG@10 of the model and of the best baseline, which has the target in its first `ten`."""
    rows = (row(JOINT, "model", joint, 0.5), row(baseline, "baseline", best, ten))
    compared = tuple(PairedComparison(JOINT, metric, baseline, interval(joint - best, 0.02)) for metric in METRICS)
    known = {"most": 100, "found": 0.9, "signals": EVERY_SIGNAL, "sources": EVERY_SIGNAL, "blend": "fitted"}
    diagnosis = Diagnosis(100, (), (), RankedCandidateFacts(**known | facts))
    whole = Slice("all", "all", 100, rows)
    return TaskEvaluation(name, False, 500, 100, {}, (whole,), compared, {}, {}, "", diagnosis)


@pytest.mark.parametrize(
    ("joint", "best", "said"),
    [
        (0.108, 0.08, "+35 % NDCG@10 over the best simple method (EASE), 0.108 against 0.080"),
        (0.0101, 0.0054, "+87 % NDCG@10 over the best simple method (EASE), 0.0101 against 0.0054; " + CHANCE),
        (0.3, 0.1, "+200 % NDCG@10 over the best simple method (EASE), 0.300 against 0.100"),
        (0.21, 0.2, "+5 % NDCG@10 over the best simple method (EASE), 0.210 against 0.200; " + CHANCE),
        (0.2, 0.2, "as good as the best simple method (EASE), NDCG@10 0.200 against 0.200; " + CHANCE),
        (0.1, 0.0, "NDCG@10 0.1000, where the best simple method (EASE) finds nothing"),
    ],
)  # fmt: skip
def test_a_win_is_one_line(joint, best, said):
    found = verdict_of(measured(joint, best))
    assert found.line == f"home_feed: {said}"
    assert not found.below


def test_retrieval_is_the_limit_where_the_candidates_lack_what_the_baseline_has_in_ten():
    found = verdict_of(measured(0.1, 0.3, found=0.41, ten=0.61)).line
    assert "Retrieval is the limit: the target is among the 100 candidates in only 41 % of the requests, " in found
    assert "and EASE has it in its first ten for 61 %" in found
    assert "Raise `serving.candidates`: " in found
    assert found.endswith("`unified-ranker build --set tasks.home_feed.serving.candidates=200`")


def test_retrieval_is_the_limit_where_the_order_of_what_it_finds_would_suffice():
    found = verdict_of(measured(0.12, 0.2, found=0.5, ten=0.3)).line
    assert "50 % of the requests; if it were there in all, the present order would be good enough" in found
    assert "serving.candidates=200" in found


def test_targets_that_no_rule_lets_in_are_not_what_retrieval_misses():
    task = dataclasses.replace(measured(0.12, 0.2, found=0.5, ten=0.3), unreachable={"is the source item": 45})
    assert "The order is the limit" in verdict_of(task).line


def test_the_order_is_the_limit_where_the_candidates_hold_the_target():
    found = verdict_of(measured(0.1, 0.2, found=0.9, ten=0.6)).line
    assert "The order is the limit: the target is among the 100 candidates in 90 % of the requests. " in found
    assert found.endswith("Search for better settings of the training: `unified-ranker tune --minutes 60`")


@pytest.mark.parametrize("found", [0.1, 0.9])
@pytest.mark.parametrize(
    ("baseline", "signal"),
    [("EASE", "ease"), ("newest first", "newest"), ("popularity", "popular"), ("co-occurrence", "source_pairs")],
)
def test_a_model_without_the_signal_of_the_baseline_gets_it(baseline, signal, found):
    rest = tuple(set(EVERY_SIGNAL) - {signal})
    said = verdict_of(measured(0.1, 0.2, baseline, found=found, signals=rest, sources=rest)).line
    assert said.endswith(f"add `{{type: {signal}}}` to `signals` in towers/ranker.yaml, then `unified-ranker build`")


def test_every_baseline_names_a_signal_that_there_is():
    assert {kind.signal for _, kind in BASELINES.items()} <= set(SIGNALS)


def test_a_signal_that_may_not_propose_to_the_task_is_let_to():
    said = verdict_of(measured(0.1, 0.2, "newest first", found=0.1, sources=("ease",))).line
    assert said.endswith(
        "add `newest` to `serving.sources` in tasks/home_feed.yaml, then `unified-ranker build`"
    )  # fmt: skip
    # It counts in the order, all the same.
    assert "serving.sources" not in verdict_of(measured(0.1, 0.2, "newest first", sources=("ease",))).line


@pytest.mark.parametrize(
    ("blend", "command"),
    [("off", "--set project.training.blend=true"), ("too few", "--set project.split.validation=0.2")],
)
def test_without_a_blend_the_blend_is_first(blend, command):
    assert command in verdict_of(measured(0.1, 0.2, blend=blend)).line


def test_without_a_diagnosis_it_points_at_the_report():
    task = dataclasses.replace(measured(0.1, 0.2), diagnosis=None)
    assert "report.html" in verdict_of(task).line


def test_there_is_no_verdict_without_both_sides():
    none = TaskEvaluation("home_feed", False, 0, 0, {}, (), (), {}, {}, "no requests in the slice")
    alone = dataclasses.replace(measured(0.1, 0.2), comparisons=())
    assert [verdict_of(none), verdict_of(alone)] == [None, None]


def evaluation(*tasks):
    return Evaluation("test", 0, None, 20, 7, 1000, tasks)


def test_a_loss_is_refused_on_demand_and_every_such_task_is_named():
    both = evaluation(measured(0.3, 0.2, name="search"), measured(0.1, 0.2), measured(0.19, 0.2, name="mine"))
    assert [found.below for found in verdicts_of(both)] == [False, True, True]
    with pytest.raises(UserError, match="2 tasks are below the best simple method, so no release was written") as error:
        require_baselines(both)
    lines = str(error.value).splitlines()
    assert [line.partition(":")[0] for line in lines[1:3]] == ["home_feed", "mine"]
    assert "may be chance" in lines[2]
    require_baselines(evaluation(measured(0.3, 0.2), measured(0.2, 0.2)))
