"""Summary of the ranks of a task's requests: slices, intervals, and models against baselines."""

from collections.abc import Sequence

import numpy as np

from unified_ranker.config import Config
from unified_ranker.evaluation.metrics import (
    DECISIVE_METRIC,
    METRICS,
    Interval,
    Values,
    bootstrap,
    interval,
    metric_values,
    ratio_interval,
)
from unified_ranker.evaluation.results import JOINT, Contender, PairedComparison, Row, Slice, TaskEvaluation
from unified_ranker.evaluation.shown_requests import show_requests
from unified_ranker.evaluation.slices import cut
from unified_ranker.evaluation.task_seed import task_seed
from unified_ranker.evaluation.top_items import concentration
from unified_ranker.prepare.examples import Examples
from unified_ranker.prepare.prepared import Prepared


def summarise_task(
    task: str,
    requests: Examples,
    available: int,
    contenders: Sequence[Contender],
    unreachable: dict[str, int],
    prepared: Prepared,
    config: Config,
) -> TaskEvaluation:
    """Summarise one task.

    Args:
        task: its name.
        requests: the sampled requests.
        available: how many there were to sample from.
        contenders: scorers with the ranks and top tens of the requests.
        unreachable: number of targets that were no candidates, by reason.
        prepared: the prepared log.
        config: the project; sets seed and bootstrap samples.
    """
    slices: list[Slice] = []
    comparisons: list[PairedComparison] = []
    if len(requests) and contenders:
        values = np.concatenate([metric_values(c.ranks) for c in contenders], axis=1)
        for number, (dimension, name, mask) in enumerate(cut(requests, prepared, config)):
            table = _Table(contenders, values[mask], config, task_seed(config.project.seed, task, number))
            slices.append(Slice(dimension, name, int(mask.sum()), table.rows()))
            if dimension == "all":
                comparisons = table.comparisons()
    best = {c.baseline for c in comparisons if c.metric == DECISIVE_METRIC}
    joint = next((c for c in contenders if c.name == JOINT), None)
    return TaskEvaluation(
        task=task,
        derived=config.tasks[task].derived,
        available=available,
        requests=len(requests),
        unreachable=unreachable,
        slices=tuple(slices),
        comparisons=tuple(comparisons),
        notes={c.name: c.note for c in contenders if c.note},
        seconds={c.name: c.seconds for c in contenders},
        remark=_remark(requests, contenders),
        concentrations=tuple(
            concentration(c.name, c.top, len(prepared.items)) for c in contenders if c is joint or c.name in best
        ),
        shown=()
        if joint is None
        else show_requests(task, requests, joint.ranks, joint.top, prepared, config.project.seed),
    )


class _Table:
    """Metrics of all contenders on one slice, from `values` `[requests, contenders × metrics]`.

    All columns share their resamples, so that differences between contenders are paired by request.
    """

    def __init__(self, contenders: Sequence[Contender], values: Values, config: Config, seed: list[int]) -> None:
        self._contenders, self._values = contenders, values
        if len(values):
            samples = config.project.evaluation.bootstrap_samples
            self._resampled = bootstrap(values, samples, seed)

    def rows(self) -> tuple[Row, ...]:
        """Return one row per contender; none where the slice is empty."""
        if not len(self._values):
            return ()
        return tuple(
            Row(c.name, c.kind, {metric: self._interval(at, metric) for metric in METRICS})
            for at, c in enumerate(self._contenders)
        )

    def comparisons(self) -> list[PairedComparison]:
        """Return every model against the baseline that is best on the metric."""
        models = [at for at, c in enumerate(self._contenders) if c.kind == "model"]
        baselines = [at for at, c in enumerate(self._contenders) if c.kind == "baseline"]
        if not baselines:
            return []
        means = self._values.mean(axis=0)
        out = []
        for metric in METRICS:
            mean = {at: float(means[self._column(at, metric)]) for at in baselines}
            best = max(mean, key=mean.__getitem__)
            for model in models:
                names = self._contenders[model].name, metric, self._contenders[best].name
                columns = self._column(model, metric), self._column(best, metric)
                ratio = ratio_interval(self._values, self._resampled, *columns)
                out.append(PairedComparison(*names, self._interval(model, metric, against=best), ratio))
        return out

    def _interval(self, at: int, metric: str, against: int | None = None) -> Interval:
        own = self._column(at, metric)
        values, resampled = self._values[:, own], self._resampled[:, own]
        if against is not None:
            other = self._column(against, metric)
            values, resampled = values - self._values[:, other], resampled - self._resampled[:, other]
        return interval(values, resampled)

    @staticmethod
    def _column(at: int, metric: str) -> int:
        return at * len(METRICS) + METRICS.index(metric)


def _remark(requests: Examples, contenders: Sequence[Contender]) -> str:
    if not len(requests):
        return "no requests in the slice"
    return "" if contenders else "no scorer for this task"
