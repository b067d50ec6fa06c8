"""Output of the stages: the evaluation as tables, and its verdict in words."""

import json

import pytest

from unified_ranker.cli.stage_output import print_evaluation
from unified_ranker.evaluation.metrics import METRICS, Interval
from unified_ranker.evaluation.results import Evaluation, PairedComparison, Row, Slice, TaskEvaluation


def interval(value, half=0.01):
    return Interval(value, value - half, value + half)


def evaluation(joint, best, name="joint model"):
    scores = ((name, "model", joint), ("EASE", "baseline", best))
    rows = tuple(Row(scorer, kind, dict.fromkeys(METRICS, interval(value))) for scorer, kind, value in scores)
    compared = tuple(PairedComparison(name, metric, "EASE", interval(joint - best, 0.02)) for metric in METRICS)
    whole = Slice("all", "all", 100, rows)
    task = TaskEvaluation("search", False, 500, 100, {}, (whole,), compared, {}, {}, "")
    none = TaskEvaluation("home_feed", False, 0, 0, {}, (), (), {}, {}, "no requests in the slice")
    return Evaluation("test", 0, None, 20, 7, 1000, (task, none))


def test_each_task_is_a_table_or_a_remark(capsys):
    print_evaluation(evaluation(0.3, 0.2), as_json=False)
    out = capsys.readouterr().out
    assert "search (100 of 500 test requests)" in out
    assert "│ joint model │ 0.300 ±0.010 │" in out
    assert "home_feed: no requests in the slice" in out


@pytest.mark.parametrize(
    ("joint", "best", "said"),
    [
        (0.3, 0.2, "beats the best baseline, EASE: NDCG@10 0.300 against 0.200 (1.50 times as high)"),
        (0.15, 0.2, "is below the best baseline, EASE: NDCG@10 0.150 against 0.200 (0.75 times as high)"),
        (0.21, 0.2, "beats the best baseline, EASE: NDCG@10 0.210 against 0.200 (1.05 times as high); "
         "the difference may be chance"),
        (0.2, 0.2, "equals the best baseline, EASE: NDCG@10 0.200 against 0.200 (1.00 times as high); "
         "the difference may be chance"),
        (0.1, 0.0, "beats the best baseline, EASE: NDCG@10 0.100 against 0.000"),
    ],
)  # fmt: skip
def test_it_ends_with_the_verdict_in_words(capsys, joint, best, said):
    print_evaluation(evaluation(joint, best), as_json=False)
    assert capsys.readouterr().out.splitlines()[-1] == f"search: the joint model {said}"


def test_without_the_joint_model_there_is_no_verdict(capsys):
    print_evaluation(evaluation(0.3, 0.2, name="two towers"), as_json=False)
    assert "best baseline" not in capsys.readouterr().out


def test_programs_get_the_metrics(capsys):
    print_evaluation(evaluation(0.3, 0.2), as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert found["search"]["joint model"]["ndcg@10"] == 0.3
