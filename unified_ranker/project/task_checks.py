"""Checks of the files of tasks/ against the log: tasks have positives, and data for their rules."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd

from unified_ranker.config import Config, Task
from unified_ranker.core.arrays import Ints
from unified_ranker.core.candidate_rule import exists
from unified_ranker.core.errors import nearest
from unified_ranker.core.positives import first_match, matches
from unified_ranker.core.times import seconds
from unified_ranker.log.check import MAX_LISTED, Check, counted
from unified_ranker.log.row_rules import Harm
from unified_ranker.log.schema import InteractionLog
from unified_ranker.prepare.examples import dated_positives, match_positives
from unified_ranker.prepare.split_times import SplitTimes, split_times
from unified_ranker.prepare.task_needs import counted_event, has_positives, no_events
from unified_ranker.project.value_checks import value_checks
from unified_ranker.project.value_scale import ValueColumn

LEAST_LEARNABLE = 0.05
"""Least share of a task's positives whose item exists at their time. Below it, `created_at` probably means something
else, such as the time of an import, and nothing sound can be learnt or measured."""

LEAST_TO_SPLIT = 50
"""Positives below which shares of a split are not compared with the declared ones."""
SHARE_WARNS, SHARE_FAILS = 0.05, 0.1
"""Differences of a bound's share from the declared one from which it is a warning, and an error."""


def task_checks(config: Config, log: InteractionLog, sampled: bool = False) -> Iterator[Check]:
    """Yield the checks of every task, of tasks that nobody declares, and of the split.

    A head without events is refused, unless the events are a sample, which may lack rare ones.
    """
    fed = None if sampled else frozenset(match_positives(log, config.tasks).head.tolist())
    found = log.events["task"].value_counts()
    for name, task in config.tasks.items():
        of_task = log.events[(log.events["task"] == name).to_numpy(bool)]
        if of_task.empty:
            yield no_events(name, found)
            continue
        yield from _positives(name, task, of_task, fed, ValueColumn.of(config.project.data))
        yield from _exclusion(name, task, of_task, config.towers.user.history_events)
        yield from _imputation(name, task, of_task, log)
    yield _undeclared(config, found)
    yield from _split(config, log)


def _positives(
    name: str, task: Task, of_task: pd.DataFrame, fed: frozenset[str] | None, column: ValueColumn
) -> Iterator[Check]:
    """Check that the task has positives, and warn about each of `positives` that matches nothing.

    Where no other entry of any task has events for its head (see `fed`), that is an error: the head would be served
    untrained.
    """
    kinds, values = of_task["event_type"], of_task["value"]
    taken = np.bincount(first_match(kinds, values, task.positives) + 1, minlength=len(task.positives) + 1)[1:]
    types = [str(t) for t in kinds.dropna().unique()]
    yield has_positives(name, task, bool(taken.any()), types, _events(of_task))
    for number, positive in enumerate(task.positives):
        yield from value_checks(name, number, positive, of_task, column)
        if taken.any() and not taken[number]:
            matched = matches(kinds, values, positive).any()
            earlier = "every one is a positive of an earlier entry" if matched else "none"
            hint = nearest(positive.event_type, types) if positive.event_type not in types else ""
            alone = fed is not None and positive.head_name not in fed
            learns = f"the head `{positive.head_name}` has no events" if alone else "it adds no events to its head"
            yield Check(
                f"`tasks/{name}.yaml`, `positives[{number}]`: there are events with {counted_event(positive)}",
                passed=False,
                found=f"{earlier} among {_events(of_task)}",
                what_to_do=f"correct or remove the entry; {learns}.{hint}",
                severity="error" if alone else "warning",
            )


def _events(of_task: pd.DataFrame) -> str:
    """Return the task's event types with counts and the range of their values."""
    out = []
    for event_type, group in of_task.groupby("event_type", sort=True):
        values = group["value"].dropna()
        span = f", value {values.min():g} to {values.max():g}" if len(values) else ""
        out.append(f"`{event_type}` ({len(group):,}{span})")
    return ", ".join(out[:MAX_LISTED]) or "none"


def _exclusion(name: str, task: Task, of_task: pd.DataFrame, in_histories: tuple[str, ...] | None) -> Iterator[Check]:
    """Check that histories hold the events by which the task excludes items, because serving knows no others."""
    if not task.exclude_engaged:
        return
    for number, kind in enumerate(task.positives):
        kinds, values = of_task["event_type"], of_task["value"]
        absent = matches(kinds, values.fillna(0.0), kind) & ~matches(kinds, values, kind)
        if (kind.min_value, kind.above) != (None, None):
            yield Check(
                f"`tasks/{name}.yaml`, `positives[{number}].min_value`: every `{kind.event_type}` has a value",
                passed=not absent.any(),
                found=f"{int(absent.sum()):,} have none, which is 0 in the history of a request",
                what_to_do="set `min_value` above 0, or give these events another type; `exclude_engaged` "
                "would leave their items out when served, not when measured",
                severity="warning",
            )
    if in_histories is not None:
        forgotten = sorted({p.event_type for p in task.positives} - set(in_histories))
        yield Check(
            f"`tasks/{name}.yaml`, `exclude_engaged`: histories hold the task's positives",
            passed=not forgotten,
            found=f"`history_events` in towers/user.yaml has no {', '.join(f'`{kind}`' for kind in forgotten)}",
            what_to_do="add them there; the items of these events are left out when the model is measured, and are "
            "recommended again when it is served",
            severity="warning",
        )


def _imputation(name: str, task: Task, of_task: pd.DataFrame, log: InteractionLog) -> Iterator[Check]:
    """Check that each declared rule can fill something."""
    at, rules = f"`tasks/{name}.yaml`, `imputation.", task.imputation
    if rules.query == "source_item_title":
        yield Check(
            f"{at}query`: items have titles",
            passed=bool(log.items["title"].notna().any()),
            found="no item has a title",
            what_to_do="set it to `none`, or add titles to the items table",
        )
        yield Check(
            f"{at}query`: requests of the task have a source item",
            passed=bool(of_task["source_item_id"].notna().any()) or rules.source_item != "none",
            found="no event of the task has a `source_item_id`",
            what_to_do="set it to `none`, or `imputation.source_item` to `last_history_item`",
            severity="warning",
        )
    if rules.source_item == "last_history_item":
        yield Check(
            f"{at}source_item`: requests of the task have a user, and so a history",
            passed=bool(of_task["user_id"].notna().any()),
            found="every event of the task is anonymous",
            what_to_do="set it to `none`",
        )
    # `user` is the default, and harmless where no user has a country, so only a declared one is reported.
    if rules.country == "user" and "country" in rules.model_fields_set:
        yield Check(
            f"{at}country`: users have a country",
            passed=bool(log.users["country"].notna().any()),
            found="no user has one",
            what_to_do="set it to `none`, or add countries to the users table",
            severity="warning",
        )


def _undeclared(config: Config, found: "pd.Series[int]") -> Check:
    missing = found[[task not in config.tasks for task in found.index]]
    return Check(
        "every task of the log is declared",
        passed=missing.empty,
        found=f"no file for {counted(missing)}",
        what_to_do="add tasks/NAME.yaml for each surface to serve; the events stay part of histories anyway",
        severity="warning",
    )


def _split(config: Config, log: InteractionLog) -> Iterator[Check]:
    """Check that tasks have positives of items that exist, and warn where none is to train or to test on."""
    chosen = dated_positives(log, config.tasks)
    if chosen.empty:
        return
    times = seconds(chosen["timestamp"])
    learnable = _exists(chosen, log.items)
    bounds = split_times([np.sort(times)], config)
    yield _shares(config, times, bounds)
    fit_on, fit_end = config.project.split.fit_on, bounds.fit_end(config)
    taught = frozenset(chosen["head"][times < fit_end])
    for name, task in config.tasks.items():
        of_task = (chosen["task"] == name).to_numpy(bool)
        count, own = int(of_task.sum()), times[of_task & learnable]
        if count == 0:
            continue
        enough = len(own) >= LEAST_LEARNABLE * count
        yield Check(
            f"`tasks/{name}.yaml`: the items of the task's positives exist at their time",
            passed=enough,
            found=f"only {len(own):,} of {count:,} positives lie at or after their item's `created_at`",
            what_to_do="correct `created_at` in the items table, or leave the column out: "
            "an item is a candidate from then on, so the others can neither be learnt nor measured",
        )
        if not enough:
            continue
        before, after = int((own < fit_end).sum()), int((own >= bounds.validation_end).sum())
        yield Check(
            f"`tasks/{name}.yaml`: the task has positives to train on and positives to test on",
            passed=before > 0 and after > 0,
            found=f"{before:,} of {len(own):,} in the fit window (`{fit_on}`), {after:,} in the test slice",
            what_to_do="move `split` in project.yaml, or wait for more events of the task; "
            "a task without positives to train on is not learnt, one without positives to test on is not measured",
            severity="warning",
            harm=Harm.LOST,
        )
        late = [head for head in task.heads if head not in taught and (chosen["head"][of_task] == head).any()]
        if before:
            yield Check(
                f"`tasks/{name}.yaml`: every head of the task has examples to train on",
                passed=not late,
                found=f"{', '.join(f'`{head}`' for head in late)} has none in the fit window (`{fit_on}`)",
                what_to_do="give it the value 0 in `score`, remove its entry in `positives`, or wait for more of its "
                "events; until then its outputs are untrained",
                severity="warning",
            )


def _shares(config: Config, times: Ints, bounds: SplitTimes) -> Check:
    """Check that the parts of the split have their declared shares; simultaneous events cannot be divided."""
    declared = config.project.split
    wanted = np.cumsum([declared.train, declared.validation])
    came = np.array([(times < bounds.train_end).mean(), (times < bounds.validation_end).mean()])
    off = float(np.abs(came - wanted).max()) if len(times) >= LEAST_TO_SPLIT else 0.0
    moments, counts = np.unique(times, return_counts=True)
    most = int(counts.argmax())
    return Check(
        "`project.yaml`, `split`: the parts have their declared shares",
        passed=off <= SHARE_WARNS,
        found=f"{_parts(came)} in place of {_parts(wanted)}: events of one second cannot be divided, and "
        f"{counts[most]:,} of the {len(times):,} positives have the time {pd.Timestamp(moments[most], unit='s')}",
        what_to_do="give the times at which events happened, not those of a day or of an import, or set `train` and "
        "`validation` to shares that end between such seconds",
        severity="error" if off > SHARE_FAILS else "warning",
    )


def _parts(ends: npt.NDArray[np.float64]) -> str:
    """Return the shares of train, validation and test, from the ends of the first two, as 80/10/10."""
    return "/".join(f"{100 * share:.0f}" for share in np.diff([0, *ends, 1]))


def _exists(events: pd.DataFrame, items: pd.DataFrame) -> np.ndarray:
    """Return whether each event's item is a candidate at its time `[events]`; undated items always are."""
    created = items.dropna(subset=["item_id"]).drop_duplicates("item_id").set_index("item_id")["created_at"]
    return np.asarray(exists(seconds(created.reindex(events["item_id"]).array), seconds(events["timestamp"])))
