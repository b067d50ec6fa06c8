"""Overall metrics: the JSON of releases, and what is read from it."""

from unified_ranker.evaluation.overall_metrics import OverallMetrics

TREE = {
    "search": {"joint model": {"ndcg@10": 0.5}, "popularity": {"ndcg@10": 0.25}},
    "home_feed": {"popularity": {"ndcg@10": 0.125}},
    "pre_query": {},
}
"""As a manifest has it: a task, its scorers, their metrics; the last task had no requests."""


def test_a_manifests_json_comes_back_and_can_be_asked():
    metrics = OverallMetrics.model_validate(TREE)
    assert metrics.model_dump(mode="json") == TREE
    assert metrics.of_scorer("joint model") == {"search": {"ndcg@10": 0.5}}
    assert list(metrics.of_scorer("popularity")) == ["search", "home_feed"]
    assert metrics.scorers("search") == TREE["search"]
    assert metrics.scorers("pre_query") == metrics.scorers("elsewhere") == {}
