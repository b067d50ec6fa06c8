"""From ranks to ratios and verdicts."""

import json
from dataclasses import replace

import numpy as np
import pytest

from unified_ranker.core.arrays import MISSING
from unified_ranker.evaluation.comparison.comparison_report import JSON, write_comparison
from unified_ranker.evaluation.comparison.comparison_summary import ModelComparison, compare_task
from unified_ranker.evaluation.comparison.plan import PlannedRun
from unified_ranker.evaluation.comparison.run_result import RunResult
from unified_ranker.evaluation.comparison.transfer import transfers
from unified_ranker.evaluation.metrics import Interval

RNG = np.random.default_rng(4)
REQUESTS = 400


def result(name, kind, seed, **ranks):
    found = {"feed": {scorer.replace("_", " "): np.asarray(r, float) for scorer, r in ranks.items()}}
    return RunResult(PlannedRun(name, kind, seed), found, 1.0, 2.0, 3, {})


def ranks(hits):
    """Ranks of which the first `hits` are 1 and the others infinite: NDCG@10 = hits / REQUESTS."""
    return np.where(np.arange(REQUESTS) < hits, 1.0, np.inf)


def compared(joint=(200, 220), alone=(200, 210), baseline=100):
    results = [result("baselines", "variant", 0, EASE=ranks(baseline), kNN=ranks(baseline // 2))]
    results += [result("joint", "joint", n, joint_model=ranks(hits)) for n, hits in enumerate(joint)]
    results += [result("feed alone", "alone", n, joint_model=ranks(hits)) for n, hits in enumerate(alone)]
    results += [result("no crosses", "ablation", 0, joint_model=ranks(190))]
    return compare_task("feed", results, 200, 1)


def test_means_over_seeds_and_their_range():
    lines = {line.name: line for line in compared().lines}
    joint = lines["joint model"]
    assert joint.seeds == 2
    assert joint.metrics["ndcg@10"].value == pytest.approx(210 / REQUESTS)
    assert joint.ndcg_range == pytest.approx((200 / REQUESTS, 220 / REQUESTS))
    assert joint.ratio == Interval(1, 1, 1)


def test_ratios_are_paired_and_of_the_same_seeds():
    found = compared()
    lines = {line.name: line for line in found.lines}
    # One seed of the ablation stands against that seed of the joint model.
    assert lines["no crosses"].ratio.value == pytest.approx(190 / 200)
    assert lines["alone"].ratio.value == pytest.approx(205 / 210)
    assert found.verdict.specialist.value == pytest.approx(210 / 205)
    assert found.verdict.baseline == "EASE"
    assert found.verdict.over_baseline.value == pytest.approx(2.1)
    # Paired: what both get right moves both.
    ratio = lines["no crosses"].ratio
    assert 0.9 < ratio.low < 0.95 < ratio.high < 1


@pytest.mark.parametrize(
    ("numbers", "worse"),
    [
        ({}, False),
        ({"joint": (200,), "alone": (201,)}, False),
        ({"joint": (200,), "alone": (210,)}, True),
        ({"baseline": 300}, True),
    ],
)
def test_the_verdict(numbers, worse):
    assert compared(**numbers).verdict.worse is worse


def test_a_task_without_requests_has_no_comparison():
    assert compare_task("feed", [result("joint", "joint", 0, joint_model=[])], 10, 1) is None
    assert compare_task("other", [result("joint", "joint", 0, joint_model=[1.0])], 10, 1) is None


def test_the_verdict_is_the_inverse_of_the_ratio():
    found = compared()
    alone = next(line.ratio for line in found.lines if line.name == "alone")
    turned = found.verdict.specialist
    assert (turned.value, turned.low, turned.high) == pytest.approx((1 / alone.value, 1 / alone.high, 1 / alone.low))


def test_a_variant_of_a_baselines_name_is_not_taken_for_it():
    results = [result("baselines", "variant", 0, EASE=ranks(100)), result("joint", "joint", 0, joint_model=ranks(200))]
    results += [result("EASE", "variant", 0, joint_model=ranks(50))]
    assert compare_task("feed", results, 200, 1).verdict.over_baseline.value == pytest.approx(2)


def test_over_a_model_that_finds_nothing_there_is_no_ratio():
    found = compared(alone=(0, 0), baseline=0)
    assert found.verdict.specialist is found.verdict.over_baseline is None
    assert not found.verdict.worse
    found = compared(joint=(0, 0))
    assert {line.ratio for line in found.lines} == {None}
    assert found.verdict.specialist == Interval(0, 0, 0)
    assert found.verdict.worse


def test_resamples_without_a_hit_leave_the_interval_finite_and_the_report_whole(tmp_path):
    """Of a single hit in 400 requests, more than a third of the resamples have none."""
    found = compared(joint=(1, 1), alone=(1, 1), baseline=1)
    whole = ModelComparison("shop", "test", "abc", 2, "hashed", (), (found,), (), ())
    page = write_comparison(whole, tmp_path)
    kept = json.loads((tmp_path / JSON).read_text(encoding="utf-8"))
    assert kept["tasks"][0]["verdict"]["specialist"] == {"value": 1, "low": 1, "high": 1}
    assert max(line["ratio"]["high"] for line in kept["tasks"][0]["lines"]) < REQUESTS
    assert "finds nothing" not in page.read_text(encoding="utf-8")
    write_comparison(replace(whole, tasks=(compared(joint=(0,), alone=(0,)),)), tmp_path)
    assert "finds nothing" in page.read_text(encoding="utf-8")


class Past:
    task = np.array(["a", "a", "a", "b", "b", "c", "c"], object)
    item = np.array([0, 0, 1, 0, 2, 3, MISSING])


def test_transfer_between_tasks():
    found = {(t.task, t.other): t for t in transfers(Past, ["a", "b", "c", "d"], 5)}
    assert set(found) == {(x, y) for x in "abc" for y in "abc" if x != y}
    assert (found["a", "b"].items, found["a", "b"].positives) == pytest.approx((0.5, 2 / 3))
    assert (found["b", "a"].items, found["b", "a"].positives) == pytest.approx((0.5, 0.5))
    assert found["a", "c"].divergence == pytest.approx(1)
    assert found["a", "c"].items == 0
    p, q = np.array([2, 1, 0]) / 3, np.array([1, 0, 1]) / 2
    m = (p + q) / 2
    expected = sum(x * np.log2(x / y) for x, y in [*zip(p, m, strict=True), *zip(q, m, strict=True)] if x) / 2
    assert found["a", "b"].divergence == found["b", "a"].divergence == pytest.approx(expected)
