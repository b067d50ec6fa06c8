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


def test_it_ends_with_the_verdict_in_words(capsys):
    print_evaluation(evaluation(0.3, 0.2), as_json=False)
    said = capsys.readouterr()
    last = said.out.splitlines()[-1]
    assert last == "search: +50 % NDCG@10 over the best simple method (EASE), 0.300 against 0.200"
    assert said.err == ""


@pytest.mark.parametrize("as_json", [False, True])
def test_a_loss_is_also_a_warning_and_no_part_of_the_answer(capsys, as_json):
    print_evaluation(evaluation(0.1, 0.2), as_json=as_json)
    said = capsys.readouterr()
    last = said.out.splitlines()[-1]
    if not as_json:
        assert last.startswith("search: 50 % below the best simple method (EASE), NDCG@10 0.100 ")
    assert said.err.splitlines() == [
        "note: below the best simple method: search. `build --require-baseline` refuses to release that."
    ]


def test_without_the_joint_model_there_is_no_verdict(capsys):
    print_evaluation(evaluation(0.3, 0.2, name="two towers"), as_json=False)
    assert "simple method" not in capsys.readouterr().out


def test_programs_get_the_metrics(capsys):
    print_evaluation(evaluation(0.3, 0.2), as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert found["search"]["joint model"]["ndcg@10"] == 0.3
