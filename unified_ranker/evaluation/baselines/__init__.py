"""Baselines: recommenders without a neural network, which a report compares the model with."""

# isort: off
# They are registered in this order, which is that of the report.
from unified_ranker.evaluation.baselines import popularity
from unified_ranker.evaluation.baselines import neighbours
from unified_ranker.evaluation.baselines import title_search
from unified_ranker.evaluation.baselines import same_query
from unified_ranker.evaluation.baselines import co_occurrence
# isort: on

__all__ = ["co_occurrence", "neighbours", "popularity", "same_query", "title_search"]
