"""Stages of a project in order: validate, prepare, train, evaluate, export and verify, each in a file of its own."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from unified_ranker.project.one_build import one_build
from unified_ranker.project.prepare_stage import prepare_stage, validate
from unified_ranker.project.run_stage import keep_result
from unified_ranker.project.stage_context import StageContext, StageResult
from unified_ranker.project.train_stage import train_stage

if TYPE_CHECKING:
    from unified_ranker.log.check import Check


def build(
    context: StageContext,
    checked: "Callable[[list[Check]], None]" = lambda checks: None,
    ended: Callable[[StageResult], None] = lambda result: None,
    *,
    require_baseline: bool = False,
) -> list[StageResult]:
    """Run every stage in order, skip what is up to date, and end with a verified release.

    Args:
        context: of the run.
        checked: is called with the checks of data and declarations, and raises if one failed.
        ended: is called with the result of each stage when it ends.
        require_baseline: whether the model must not be below the best baseline of any task to be released.

    Returns:
        The results, in order; the output of the last one is the release.

    Raises:
        UserError: by a fault of the data, the declarations or the machine, or by `require_baseline`.
    """
    with one_build(context, releases=True):
        checked(validate(context))
        # Imported here, so that an error in the declarations is reported before large libraries are loaded.
        from unified_ranker.evaluation.verdict import require_baselines
        from unified_ranker.project.evaluate_stage import evaluate_stage, read_evaluation
        from unified_ranker.project.export_stage import export_stage

        for stage in (prepare_stage, train_stage, evaluate_stage):
            ended(stage(context))
        if require_baseline:
            require_baselines(read_evaluation(context))
        ended(export_stage(context))
        ended(verify(context, context.memory.results[-1].output))
    return context.memory.results


def verify(context: StageContext, release: Path) -> StageResult:
    """Check the links of a release.

    Raises:
        BrokenLinkError: a link does not hold.
    """
    from unified_ranker.release.verify_release import verify_release

    started = time.perf_counter()
    lines = verify_release(release)
    seconds = time.perf_counter() - started
    return keep_result(context, StageResult("verify", False, seconds, release, f"{len(lines)} links hold"))
