"""Summary of the ranks of all runs: means over seeds, paired intervals over requests, verdicts."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from unified_ranker.evaluation.comparison.run_result import RunResult
from unified_ranker.evaluation.comparison.transfer import Transfer
from unified_ranker.evaluation.metrics import (
    DECISIVE_METRIC,
    METRICS,
    Interval,
    bootstrap,
    interval,
    metric_values,
    ratio_interval,
)
from unified_ranker.evaluation.results import JOINT, Diagnosis
from unified_ranker.evaluation.slices import Cut, Dimension

ENOUGH = 0.99
"""The joint model must reach this share of a specialist's NDCG@10."""


@dataclass(frozen=True)
class Line:
    """One model or baseline on one task: means over requests and seeds, with bootstrap intervals over requests.

    Attributes:
        name: its name in the report.
        kind: `joint`, `alone`, `ablation`, `variant` or `baseline`.
        seeds: how many models the means are of.
        metrics: by name.
        ndcg_range: lowest and highest NDCG@10 among the seeds.
        ratio: its NDCG@10 divided by the joint model's, of the same seeds and requests; None where the joint model's
            is 0.
    """

    name: str
    kind: str
    seeds: int
    metrics: dict[str, Interval]
    ndcg_range: tuple[float, float]
    ratio: Interval | None


@dataclass(frozen=True)
class SliceLine:
    """Mean NDCG@10 of each line, by its name, over the seeds and a slice of the requests; empty for an empty slice."""

    dimension: Dimension
    name: str
    requests: int
    values: dict[str, float]


@dataclass(frozen=True)
class Verdict:
    """Verdict on the joint model: ratios of its NDCG@10 to the specialist's and to the best baseline's.

    A ratio is None where there is no such model, or its NDCG@10 is 0.
    """

    specialist: Interval | None
    baseline: str
    over_baseline: Interval | None

    @property
    def worse(self) -> bool:
        """Tells whether the joint model is below its target."""
        below = self.specialist is not None and self.specialist.value < ENOUGH
        return below or (self.over_baseline is not None and self.over_baseline.value < 1)


@dataclass(frozen=True)
class TaskComparison:
    """All models on one task, on the same `requests`.

    `slices` hold the metric of each line on slices of the requests; `diagnoses` those of the first seed, by name.
    """

    task: str
    requests: int
    lines: tuple[Line, ...]
    verdict: Verdict
    slices: tuple[SliceLine, ...] = ()
    diagnoses: dict[str, Diagnosis] = field(default_factory=dict)


@dataclass(frozen=True)
class Cost:
    """Cost of a run: seconds and memory."""

    run: str
    seed: int
    train_seconds: float
    evaluate_seconds: float
    peak_memory_mib: int


@dataclass(frozen=True)
class ModelComparison:
    """A whole comparison, as plain values."""

    project: str
    part: str
    config_digest: str
    seeds: int
    text_encoder: str
    derived: tuple[str, ...]
    tasks: tuple[TaskComparison, ...]
    transfers: tuple[Transfer, ...]
    costs: tuple[Cost, ...]
    curves: dict[str, list[float]] = field(default_factory=dict)


def compare_task(
    task: str, results: Sequence[RunResult], samples: int, seed: int, parts: Sequence[Cut] = ()
) -> TaskComparison | None:
    """Summarise one task; None where no request of it was measured.

    Args:
        task: its name.
        results: all runs, including the baselines.
        samples: bootstrap resamples.
        seed: of the bootstrap.
        parts: slices of the requests, as `evaluation.slices.cut` gives them.
    """
    ranks: dict[tuple[str, str], dict[int, np.ndarray]] = {}
    for result in results:
        for scorer, found in result.ranks.get(task, {}).items():
            name, kind = _called(result, scorer)
            ranks.setdefault((name, kind), {})[result.run.seed] = metric_values(found)
    joint = ranks.get((JOINT, "joint"))
    if not joint or not len(next(iter(joint.values()))):
        return None
    # Columns of one array share the resamples: means over the seeds, and the joint model's of the same seeds.
    columns, lines, column = [], [], METRICS.index(DECISIVE_METRIC)
    over: dict[tuple[str, str], Interval | None] = {}
    for (_, kind), own in ranks.items():
        shared = list(joint) if kind == "baseline" else [s for s in own if s in joint] or list(joint)
        columns += [np.mean(list(own.values()), 0), np.mean([joint[s] for s in shared], 0)]
    values = np.concatenate(columns, 1)
    means = bootstrap(values, samples, seed)
    for at, ((name, kind), own) in enumerate(ranks.items()):
        first = 2 * at * len(METRICS)
        decisive = first + column
        metrics = {m: interval(values[:, first + i], means[:, first + i]) for i, m in enumerate(METRICS)}
        ratio = ratio_interval(values, means, decisive, decisive + len(METRICS))
        over[name, kind] = ratio_interval(values, means, decisive + len(METRICS), decisive)
        single = [float(v[:, column].mean()) for v in own.values()]
        lines.append(Line(name, kind, len(own), metrics, (min(single), max(single)), ratio))
    gain = {name: np.mean([v[:, column] for v in own.values()], 0) for (name, _), own in ranks.items()}
    slices = tuple(
        SliceLine(dimension, name, int(mask.sum()), _means(gain, mask))
        for dimension, name, mask in parts
        if dimension != "all"
    )
    diagnoses: dict[str, Diagnosis] = {}
    for result in results:
        if task in result.diagnoses:
            diagnoses.setdefault(result.run.name, result.diagnoses[task])
    return TaskComparison(task, len(values), tuple(lines), _verdict(lines, over), slices, diagnoses)


def _means(gain: dict[str, np.ndarray], mask: np.ndarray) -> dict[str, float]:
    return {name: float(values[mask].mean()) for name, values in gain.items()} if mask.any() else {}


def _called(result: RunResult, scorer: str) -> tuple[str, str]:
    run = result.run
    if run.name == "baselines":
        return scorer, "baseline"
    if run.kind == "joint":
        return scorer, "joint"
    name = "alone" if run.kind == "alone" else run.name
    return (name if scorer == JOINT else f"{name}, {scorer}"), run.kind


def _verdict(lines: Sequence[Line], over: dict[tuple[str, str], Interval | None]) -> Verdict:
    """Return the verdict from the ratios `over` each line, by name and kind."""
    baselines = [line for line in lines if line.kind == "baseline"]
    best = max(baselines, key=lambda line: line.metrics[DECISIVE_METRIC].value, default=None)
    return Verdict(
        over.get(("alone", "alone")),
        "" if best is None else best.name,
        None if best is None else over[best.name, best.kind],
    )
