"""Evaluation of scorers on a part of the log: each request is ranked against the full catalogue, as of its time.

The rules: temporal split, full-catalogue ranking, candidates as of the request.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from unified_ranker.config import Config
from unified_ranker.core.arrays import Ints
from unified_ranker.core.errors import unknown_name
from unified_ranker.core.progress import Progress
from unified_ranker.evaluation.baselines.base import Baseline
from unified_ranker.evaluation.candidates import CandidateRules
from unified_ranker.evaluation.metrics import Ranks, rank_of_target
from unified_ranker.evaluation.results import Contender, Evaluation, Part, TaskEvaluation
from unified_ranker.evaluation.task_seed import task_seed
from unified_ranker.evaluation.task_summary import summarise_task
from unified_ranker.evaluation.top_items import TOP, top_items
from unified_ranker.prepare.examples import Examples
from unified_ranker.prepare.prepared import Prepared

logger = logging.getLogger(__name__)

SCORES_AT_ONCE = 4_000_000
"""Most scores in memory at a time, batch times items: 16 MB as float32, and a few times that for masks."""


class Scorer(Protocol):
    """Scorer: anything that scores the catalogue for requests, and so can be evaluated.

    A scorer may also have `tasks`, the names of the tasks that it takes (all without it), and `note`, a remark for
    the reader of its numbers.
    """

    @property
    def name(self) -> str:
        """Name in the report, unique among the scorers of a task."""
        ...

    def score(self, requests: Examples) -> npt.NDArray[Any]:
        """Score every item for every request, `[batch, items]`; higher is better. A batch has one task."""
        ...


def window(prepared: Prepared, part: Part) -> tuple[int, int | None]:
    """Return start (inclusive) and end (exclusive, None = open) of a part of the split in seconds."""
    split = prepared.split
    if part == "validation":
        return split.train_end, split.validation_end
    return split.validation_end, None


def fit_end(prepared: Prepared, config: Config, part: Part) -> int:
    """Return the end (exclusive, seconds) of the data that a scorer measured on `part` may be fitted on.

    The model's final fit uses it, too, so that baselines and model are fitted on the same rows.
    """
    whole = part == "test" and config.project.split.fit_on == "train_and_validation"
    return prepared.split.validation_end if whole else prepared.split.train_end


def evaluate(
    scorers: Sequence[Scorer],
    prepared: Prepared,
    config: Config,
    tasks: Sequence[str] | None = None,
    part: Part = "test",
    keep: Callable[[str, Sequence[Contender]], None] | None = None,
    at_once: int = SCORES_AT_ONCE,
) -> Evaluation:
    """Rank the catalogue for a sample of requests of each task, and summarise the ranks of the targets.

    Args:
        scorers: fitted models and baselines; see `Scorer`. Their order is kept.
        prepared: the prepared log.
        config: the project; `project.evaluation` sets the sample's size, `project.seed` the sample.
        tasks: which tasks; None for all that are declared.
        part: which part of the temporal split.
        keep: is given each task's contenders, with the rank of every request's target.
        at_once: most scores of a scorer in memory at a time.

    Returns:
        The evaluation. A task without a request in the part has a remark in place of numbers.

    Raises:
        UserError: a task is not declared.
        ValueError: two scorers of a task have one name, or a score is NaN or has the wrong shape.
    """
    names = list(tasks) if tasks is not None else list(config.tasks)
    for task in names:
        if task not in config.tasks:
            raise unknown_name("task", task, config.tasks)
    start, end = window(prepared, part)
    examples = prepared.between(start, end)
    of_task = {task: examples.take(examples.task == task) for task in names}
    samples = {task: sample(of_task[task], task, config) for task in names}
    chosen = {task: _scorers_for(task, scorers) for task in names}
    rules = CandidateRules(prepared, config)
    found: list[TaskEvaluation] = []
    total = sum(len(samples[task]) * len(chosen[task]) for task in names)
    with Progress(f"evaluate ({part})", total, "rankings") as progress:
        for task in names:
            parts = row_batches(len(samples[task]), len(prepared.items), at_once)
            ranked = _rank(samples[task], chosen[task], parts, rules, progress)
            available = int(of_task[task].retrieved.sum())
            if keep is not None:
                keep(task, ranked[0])
            found.append(summarise_task(task, samples[task], available, *ranked, prepared, config))
    return Evaluation(
        part=part,
        start=start,
        end=end,
        items=len(prepared.items),
        seed=config.project.seed,
        bootstrap_samples=config.project.evaluation.bootstrap_samples,
        tasks=tuple(found),
    )


def _rank(
    requests: Examples, scorers: Sequence[Scorer], parts: Iterable[Ints], rules: CandidateRules, progress: Progress
) -> tuple[list[Contender], dict[str, int]]:
    """Return every scorer with its ranks and top tens, and the number of targets that were no candidates, by reason."""
    ranks: list[Ranks] = [np.empty(len(requests)) for _ in scorers]
    top = [np.empty((len(requests), TOP), np.int64) for _ in scorers]
    seconds = [0.0] * len(scorers)
    unreachable: Counter[str] = Counter()
    for rows in parts:
        batch = requests.take(rows)
        allowed = rules.allowed(batch)
        unreachable.update(reason for reason in rules.unreachable(batch).tolist() if reason)
        for number, scorer in enumerate(scorers):
            started = time.perf_counter()
            scores = scorer.score(batch)
            seconds[number] += time.perf_counter() - started
            try:
                ranks[number][rows] = rank_of_target(scores, batch.item, allowed)
            except ValueError as error:
                raise ValueError(f"scorer `{scorer.name}`, task `{batch.task[0]}`: {error}") from error
            top[number][rows] = top_items(scores, allowed)
            progress.advance(len(batch))
    if unreachable:
        logger.warning("%s: targets that were no candidates count as misses: %s", requests.task[0], dict(unreachable))
    contenders = [
        Contender(
            name=scorer.name,
            kind="baseline" if isinstance(scorer, Baseline) else "model",
            note=getattr(scorer, "note", ""),
            ranks=ranks[number],
            top=top[number],
            seconds=seconds[number],
        )
        for number, scorer in enumerate(scorers)
    ]
    return contenders, dict(unreachable)


def row_batches(requests: int, items: int, at_once: int = SCORES_AT_ONCE) -> Iterator[Ints]:
    """Yield the rows of `requests` in parts that have at most `at_once` scores of all `items`, and at least one row."""
    size = max(1, at_once // max(items, 1))
    for start in range(0, requests, size):
        yield np.arange(start, min(start + size, requests))


def sample(requests: Examples, task: str, config: Config, most: int | None = None) -> Examples:
    """Draw the requests of a task that are measured: as many as `project.evaluation` declares, at most `most`."""
    declared = config.project.evaluation.requests_per_task
    return drawn(requests, task, config, declared if most is None else min(declared, most))


def drawn(requests: Examples, task: str, config: Config, most: int) -> Examples:
    """Draw at most `most` requests of a task, in time order; only examples that are `retrieved` are requests.

    By a seed for each task, so that other tasks do not change its sample.
    """
    requests = requests.take(requests.retrieved)
    if len(requests) <= most:
        return requests
    random = np.random.default_rng(task_seed(config.project.seed, task))
    return requests.take(np.sort(random.choice(len(requests), most, replace=False)))


def _scorers_for(task: str, scorers: Sequence[Scorer]) -> list[Scorer]:
    chosen = []
    for scorer in scorers:
        wanted = getattr(scorer, "tasks", None)
        if wanted is None or task in wanted:
            chosen.append(scorer)
    twice = [name for name, times in Counter(s.name for s in chosen).items() if times > 1]
    if twice:
        listed = ", ".join(f"`{name}`" for name in twice)
        raise ValueError(f"`scorers` of a task must differ in name. Received for `{task}`: {listed} twice.")
    return chosen
