"""Which baselines oppose the model on a task. The data decides, not the task's name."""

import logging
import time

import numpy as np

from unified_ranker.core.arrays import MISSING
from unified_ranker.evaluation.baselines.base import Baseline
from unified_ranker.evaluation.baselines.co_occurrence import CoOccurrence, CoOccurrenceWalk
from unified_ranker.evaluation.baselines.neighbours import Ease, ItemKnn
from unified_ranker.evaluation.baselines.popularity import NewestFirst, PopularityBaseline
from unified_ranker.evaluation.baselines.same_query import SameQuery
from unified_ranker.evaluation.baselines.title_search import Bm25
from unified_ranker.prepare.prepared import Prepared

logger = logging.getLogger(__name__)

USED_SHARE = 0.05
"""A field belongs to a task when at least this share of its positives has it."""


def baselines_for(prepared: Prepared, task: str, fit_end: int) -> list[Baseline]:
    """Return the baselines of `task`, unfitted, by what its positives before `fit_end` (seconds) hold.

    Popularity always; newest first where items have creation times; with queries BM25 and same query; with
    source items co-occurrence and BM25 on the source's title; without either item-kNN and EASE.
    """
    past = prepared.between(None, fit_end)
    past = past.take(past.task == task)
    with_query, with_source = past.query != "", past.source_item != MISSING
    chosen: list[Baseline] = [PopularityBaseline(task)]
    if prepared.items["created_at"].notna().any():
        chosen.append(NewestFirst(task))
    if _used(~with_query & ~with_source):
        chosen += [ItemKnn(task), Ease(task)]
    if (_used(with_query) or _used(with_source)) and prepared.items["title"].notna().any():
        chosen.append(Bm25(task))
    if _used(with_query):
        chosen.append(SameQuery(task))
    if _used(with_source):
        chosen += [CoOccurrence(task), CoOccurrenceWalk(task)]
    return chosen


def fit_baselines(prepared: Prepared, tasks: list[str], fit_end: int) -> list[Baseline]:
    """Return the baselines of all `tasks`, fitted on the positives strictly before `fit_end` (seconds)."""
    fitted = []
    for task in tasks:
        for baseline in baselines_for(prepared, task, fit_end):
            started = time.perf_counter()
            baseline.fit(prepared, fit_end)
            logger.info("fitted %s for %s in %.1f s", baseline.name, task, time.perf_counter() - started)
            fitted.append(baseline)
    return fitted


def _used(rows: np.ndarray) -> bool:
    return len(rows) > 0 and float(rows.mean()) >= USED_SHARE
