"""Verdict on a task in words: the joint model against the best baseline, and what to mend first where it loses."""

from dataclasses import dataclass

from unified_ranker.core.errors import UserError
from unified_ranker.evaluation.baselines.base import BASELINES
from unified_ranker.evaluation.metrics import DECISIVE_METRIC
from unified_ranker.evaluation.results import JOINT, Evaluation, PairedComparison, RankedCandidateFacts, TaskEvaluation

_FIRST_TEN = "recall@10"


@dataclass(frozen=True)
class TaskVerdict:
    """Verdict on one task.

    Attributes:
        task: its name.
        below: whether the joint model is below the best baseline.
        certain: whether the interval of the difference excludes zero.
        line: the verdict in one line.
    """

    task: str
    below: bool
    certain: bool
    line: str


def verdict_of(task: TaskEvaluation) -> TaskVerdict | None:
    """Judge a task by NDCG@10; None where the joint model or a baseline was not measured."""
    versus = next((c for c in task.comparisons if (c.model, c.metric) == (JOINT, DECISIVE_METRIC)), None)
    if versus is None or task.overall is None:
        return None
    means = {row.scorer: row.metrics[DECISIVE_METRIC].value for row in task.overall.rows}
    line = f"{task.task}: {_compared(versus, means[JOINT], means[versus.baseline])}"
    if not versus.certain:
        line += "; the difference may be chance"
    if versus.below:
        line += f". {_mending(task, versus.baseline)}"
    return TaskVerdict(task.task, versus.below, versus.certain, line)


def verdicts_of(evaluation: Evaluation) -> list[TaskVerdict]:
    """Return the verdicts on the tasks that have one, in order."""
    return [found for task in evaluation.tasks if (found := verdict_of(task)) is not None]


def require_baselines(evaluation: Evaluation) -> None:
    """Refuse an evaluation in which the joint model is below the best baseline of a task, even by chance.

    Raises:
        UserError: it is; the message has a line for each such task.
    """
    below = [found.line for found in verdicts_of(evaluation) if found.below]
    if below:
        tasks = "a task is" if len(below) == 1 else f"{len(below)} tasks are"
        raise UserError(
            "\n".join(
                [
                    f"`--require-baseline`: {tasks} below the best simple method, so no release was written, and "
                    "`latest` did not change.",
                    *below,
                    "Prepared data, model and evaluation are kept in `project.work_dir`: the same command without "
                    "`--require-baseline` releases them.",
                ]
            )
        )


def _compared(versus: PairedComparison, joint: float, best: float) -> str:
    method = f"the best simple method ({versus.baseline})"
    # Small values would be equal in three digits.
    digits = 3 if min(joint, best) >= 0.01 else 4
    both = f"{joint:.{digits}f} against {best:.{digits}f}"
    if not best:
        return f"NDCG@10 {joint:.{digits}f}, where {method} finds nothing"
    if not versus.difference.value:
        return f"as good as {method}, NDCG@10 {both}"
    change = _percent(abs(joint / best - 1))
    return f"{change} below {method}, NDCG@10 {both}" if versus.below else f"+{change} NDCG@10 over {method}, {both}"


def _mending(task: TaskEvaluation, baseline: str) -> str:
    """Return the first link that failed, from candidates to their order, and the command that mends it."""
    facts = task.diagnosis.candidates if task.diagnosis else None
    if facts is None or task.overall is None:
        return "Look at the section of this task in report.html, which `unified-ranker build` writes"
    rows = {row.scorer: row.metrics for row in task.overall.rows}
    joint, best = rows[JOINT][DECISIVE_METRIC].value, rows[baseline][DECISIVE_METRIC].value
    ten = rows[baseline][_FIRST_TEN].value
    among = f"among the {facts.most:,} candidates in {{}}{_percent(facts.found)} of the requests"
    if facts.found < ten:
        why = f"the target is {among.format('only ')}, and {baseline} has it in its first ten for {_percent(ten)}"
        return f"Retrieval is the limit: {why}. {_more_candidates(task.task, facts, baseline)}"
    # Targets that are no candidate by rule are lost to everybody.
    reachable = 1 - sum(task.unreachable.values()) / task.requests
    if joint * reachable >= best * facts.found:
        why = f"the target is {among.format('only ')}; if it were there in all, the present order would be good enough"
        return f"Retrieval is the limit: {why}. {_more_candidates(task.task, facts, baseline)}"
    return f"The order is the limit: the target is {among.format('')}. {_better_order(facts, baseline)}"


def _more_candidates(task: str, facts: RankedCandidateFacts, baseline: str) -> str:
    signal = _signal_of(baseline)
    if signal and signal not in facts.signals:
        return _declare(signal)
    if signal and signal not in facts.sources:
        setting = f"`serving.sources` in tasks/{task}.yaml"
        return f"Let the signal propose: add `{signal}` to {setting}, then `unified-ranker build`"
    return f"Raise `serving.candidates`: `unified-ranker build --set tasks.{task}.serving.candidates={2 * facts.most}`"


def _better_order(facts: RankedCandidateFacts, baseline: str) -> str:
    signal = _signal_of(baseline)
    if signal and signal not in facts.signals:
        return _declare(signal)
    if facts.blend == "off":
        return "Let a fitted blend decide the order: `unified-ranker build --set project.training.blend=true`"
    if facts.blend == "too few":
        return (
            "The validation slice has too few requests to fit the blend on; make it longer: "
            "`unified-ranker build --set project.split.train=0.7 --set project.split.validation=0.2`"
        )
    return "Search for better settings of the training: `unified-ranker tune --minutes 60`"


def _declare(signal: str) -> str:
    return (
        f"The model does not know what this method knows: add `{{type: {signal}}}` to `signals` in "
        "towers/ranker.yaml, then `unified-ranker build`"
    )


def _signal_of(baseline: str) -> str:
    return next((kind.signal for name, kind in BASELINES.items() if name == baseline), "")


def _percent(share: float) -> str:
    return f"{100 * share:,.0f} %"
