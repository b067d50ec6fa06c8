"""Choice of the baselines for a task, by the fields of its requests and not by its name."""

import logging
import time
from collections.abc import Sequence

import numpy as np
import pandas as pd

from unified_ranker.core.arrays import MISSING, Mask
from unified_ranker.evaluation.baselines.base import BASELINES, Baseline, TaskFacts
from unified_ranker.prepare.examples import Examples
from unified_ranker.prepare.prepared import Prepared

logger = logging.getLogger(__name__)

USED_SHARE = 0.05
"""Least share of a task's positives that must have a field for the task to have it."""


def baselines_for(prepared: Prepared, task: str, fit_end: int, chosen: Sequence[str] | None = None) -> list[Baseline]:
    """Return the baselines of `task`, unfitted, that suit its positives before `fit_end` (seconds).

    Args:
        prepared: the prepared log.
        task: whose requests they score.
        fit_end: the end of the fit window, seconds.
        chosen: names that the choice is limited to, as in `project.evaluation.baselines`; None: all.

    Raises:
        UserError: one of `chosen` is not registered.
    """
    kinds = [kind for _, kind in BASELINES.items()] if chosen is None else [BASELINES[name] for name in chosen]
    facts = facts_of_task(prepared, task, fit_end)
    return [kind(task) for kind in kinds if kind.suits(facts)]


def facts_of_task(prepared: Prepared, task: str, fit_end: int) -> TaskFacts:
    """Return the facts of the positives of `task` before `fit_end` (seconds), and of the items."""
    past = prepared.between(None, fit_end)
    past = past.take(past.task == task)
    query, source = past.query != "", past.source_item != MISSING
    return TaskFacts(
        queries=_used(query),
        sources=_used(source),
        neither=_used(~query & ~source),
        titles=bool(prepared.items["title"].notna().any()),
        creation_times=bool(prepared.items["created_at"].notna().any()),
        again=_used(_again(past)),
    )


def fit_baselines(
    prepared: Prepared, tasks: Sequence[str], fit_end: int, chosen: Sequence[str] | None = None
) -> list[Baseline]:
    """Return the baselines of all `tasks`, fitted on the positives strictly before `fit_end` (seconds).

    For `chosen` see `baselines_for`.
    """
    fitted = []
    for task in tasks:
        for baseline in baselines_for(prepared, task, fit_end, chosen):
            started = time.perf_counter()
            baseline.fit(prepared, fit_end)
            logger.info("fitted %s for %s in %.1f s", baseline.name, task, time.perf_counter() - started)
            fitted.append(baseline)
    return fitted


def _again(past: Examples) -> Mask:
    """Mark the positives with an item that their user had engaged with strictly before, `[positives]`.

    There are none where `first_engagement_only` has left them out: such a task is not measured on them.
    """
    known = pd.DataFrame({"user": past.user, "item": past.item, "time": past.timestamp})
    first = known.groupby(["user", "item"])["time"].transform("min").to_numpy()
    again: Mask = (past.user != MISSING) & (past.timestamp > first)
    return again


def _used(rows: np.ndarray) -> bool:
    return len(rows) > 0 and float(rows.mean()) >= USED_SHARE
