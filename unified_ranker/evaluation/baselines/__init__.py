"""Baselines: recommenders without a neural network, which a report compares the model with."""

# isort: off
# They are registered in this order, which is that of the report.
from unified_ranker.evaluation.baselines import popularity
from unified_ranker.evaluation.baselines import neighbours
from unified_ranker.evaluation.baselines import title_search
from unified_ranker.evaluation.baselines import same_query
from unified_ranker.evaluation.baselines import co_occurrence
from unified_ranker.evaluation.baselines import had_before
# isort: on

__all__ = ["co_occurrence", "had_before", "neighbours", "popularity", "same_query", "title_search"]
