"""Checks that the log has enough data for the declared settings; each refusal names the limit."""

from collections.abc import Collection, Iterator

import numpy as np
import pandas as pd

from unified_ranker.config import Config
from unified_ranker.core.times import seconds
from unified_ranker.log.check import Check
from unified_ranker.log.log_checks import require
from unified_ranker.log.need import Need
from unified_ranker.log.schema import InteractionLog
from unified_ranker.prepare.examples import dated_positives
from unified_ranker.prepare.prepared import Prepared, fit_end_of
from unified_ranker.prepare.split_times import split_times

LEAST_FOR_HARD = 500
"""Least positives of a task in the fit window for hard negatives. With fewer, the hardest negatives of a half-trained
model are mostly items that the same users would have chosen, too."""


def data_need_checks(config: Config, log: InteractionLog, sampled: bool) -> Iterator[Check]:
    """Yield the checks; counts are not checked in a `sampled` log."""
    yield from _age_gate(config, log.items)
    yield from _needs(config, log)
    if sampled:
        return
    chosen = dated_positives(log, config.tasks)
    if chosen.empty:
        return
    times = seconds(chosen["timestamp"])
    bounds = split_times([np.sort(times)], config)
    fit = chosen[times < bounds.fit_end(config)]
    counts = fit["task"].value_counts()
    yield from _hard(config, {name: int(counts.get(name, 0)) for name in config.tasks})
    yield from _refusals(config, log.events)
    yield from _next_k(config, fit)


def require_enough_data(prepared: Prepared, config: Config, tasks: Collection[str] = ()) -> None:
    """Check that the prepared log has enough data for the settings of `tasks`; of all where empty.

    `data_needs` checks the files of a log. This check covers settings that were declared after the log was prepared,
    and logs so large that only a sample was checked before.

    Raises:
        UserError: a line for each setting that the log has too little data for.
    """
    require(_age_gate(config, prepared.items))
    if _hard_negatives(config, tasks):
        fit = prepared.examples.task[prepared.examples.timestamp < fit_end_of(prepared, config)]
        require(_hard(config, {name: int((fit == name).sum()) for name in config.tasks}, tasks))


def _hard_negatives(config: Config, tasks: Collection[str]) -> dict[str, tuple[int, int]]:
    """Return the number of kept and of drawn negatives, by the tasks that keep only the hardest ones."""
    found = {name: task.negatives for name, task in config.tasks.items() if not tasks or name in tasks}
    return {name: (kind.keeps, kind.draws) for name, kind in found.items() if kind.keeps is not None}


def _hard(config: Config, positives: dict[str, int], tasks: Collection[str] = ()) -> Iterator[Check]:
    """Check that tasks with hard negatives have positives to warm up on, and more negatives than they keep."""
    total = max(sum(positives.values()), 1)
    for name, (kept, uniform) in _hard_negatives(config, tasks).items():
        yield Check(
            f"`tasks/{name}.yaml`, `negatives.hard`: {LEAST_FOR_HARD} positives of the task lie in the fit window",
            passed=positives[name] >= LEAST_FOR_HARD,
            found=f"{positives[name]:,}",
            what_to_do="leave `hard` out, so that all negatives count, or wait for more events of the task",
        )
        of_batch = round(config.project.training.batch_examples * positives[name] / total)
        most = uniform + max(of_batch - 1, 0)
        yield Check(
            f"`tasks/{name}.yaml`, `negatives.hard`: a step has more negatives than are kept",
            passed=kept < most,
            found=f"{kept:,} kept of {most:,} (`uniform` {uniform:,} and the task's other "
            f"positives among `batch_examples` {config.project.training.batch_examples:,})",
            what_to_do=f"lower `hard` below {most:,}, or raise `uniform`",
        )


def _refusals(config: Config, events: pd.DataFrame) -> Iterator[Check]:
    """Warn where users refuse too little for the head to learn from, or histories lack what they refuse."""
    in_histories = config.towers.user.history_events
    for name, task in config.tasks.items():
        if not task.refusals:
            continue
        count = int((events["event_type"].isin(task.refusals) & events["user_id"].notna()).sum())
        yield Check(
            f"`tasks/{name}.yaml`, `refusals`: users have {LEAST_FOR_HARD} events of these types",
            passed=count >= LEAST_FOR_HARD,
            found=f"{count:,}",
            what_to_do="correct the event types, or leave `refusals` out until there are more",
            severity="warning",
        )
        forgotten = [kind for kind in task.refusals if in_histories is not None and kind not in in_histories]
        yield Check(
            f"`tasks/{name}.yaml`, `refusals`: histories hold the events",
            passed=not forgotten,
            found=f"`history_events` in towers/user.yaml has no {', '.join(f'`{kind}`' for kind in forgotten)}",
            what_to_do="add them there: what users refused is looked up in their histories",
            severity="warning",
        )


def _next_k(config: Config, fit: pd.DataFrame) -> Iterator[Check]:
    """Warn if no user has as many positives as the objective's `k`."""
    k = config.towers.user.objective.k
    if k == 1:
        return
    # Positives with a query or a source item are left out, because the next ones belong to other requests.
    ahead = fit[fit["user_id"].notna() & fit["query"].isna() & fit["source_item_id"].isna()]
    longest = int(ahead.groupby(["user_id", "task"], observed=True).size().max()) if len(ahead) else 0
    yield Check(
        "`towers/user.yaml`, `objective.k`: a user has at least `k` positives of one task without query and source",
        passed=longest >= k,
        found=f"no user has more than {longest:,} in the fit window, and `k` is {k}",
        what_to_do=f"set `k` to {max(longest, 1)} or less",
        severity="warning",
    )


def _age_gate(config: Config, items: pd.DataFrame) -> Iterator[Check]:
    if config.towers.item.age_gate:
        yield Check(
            "`towers/item.yaml`, `age_gate`: items have a `created_at`",
            passed=bool(items["created_at"].notna().any()),
            found="no item has one",
            what_to_do="set it to false, or add creation times to the items table",
        )


def _needs(config: Config, log: InteractionLog) -> Iterator[Check]:
    """Warn about declared signals and heads that the log has no data for."""
    signals = [(f"signals[{n}]", signal.type, signal) for n, signal in enumerate(config.towers.ranker.signals)]
    for at, word, signal in signals:
        yield from _need(at, word, signal.need(config, log), "signal, which has no effect without it")
    for name, kind in config.towers.ranker.heads.items():
        yield from _need(f"heads.{name}", name, kind.need(name, config, log), "head, which learns nothing without it")


def _need(at: str, word: str, need: Need | None, useless: str) -> Iterator[Check]:
    if need is not None:
        yield Check(
            f"`towers/ranker.yaml`, `{at}`: {word} needs that {need.rule}",
            passed=need.there,
            found=need.found,
            what_to_do=f"remove the {useless}, or add the data",
            severity="warning",
        )
