"""Run of a stage, which is skipped if its output is up to date."""

import logging
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from unified_ranker.project.one_build import one_build
from unified_ranker.project.stage_cache import fill, fresh, stamp_of
from unified_ranker.project.stage_context import StageContext, StageResult

logger = logging.getLogger(__name__)

MakeOutput = Callable[[Path, dict[str, Any]], str]
"""Fills a draft of the output, adds notes for its stamp, and returns a line of summary."""


def run_stage(context: StageContext, name: str, key: str, make: MakeOutput) -> StageResult:
    """Run a stage at most once in a run, and not at all where its output is up to date.

    Args:
        context: of the run.
        name: of the stage, and of the directory that it fills.
        key: digest of all that the output depends on.
        make: fills the output.
    """
    for earlier in context.memory.results:
        if earlier.name == name:
            return earlier
    directory = context.workspace.stage(name)
    if fresh(directory, key) and name not in context.force:
        return keep_result(context, StageResult(name, True, 0.0, directory, stamp_of(directory)["summary"]))
    started = time.perf_counter()
    with one_build(context), fill(directory, key) as (draft, notes):
        notes["summary"] = make(draft, notes)
        notes["seconds"] = round(time.perf_counter() - started, 2)
        notes["peak_memory_mib"] = peak_memory_mib()
    return keep_result(context, StageResult(name, False, notes["seconds"], directory, notes["summary"]))


def keep_result(context: StageContext, result: StageResult) -> StageResult:
    """Keep the result of a stage in the memory of its run."""
    context.memory.results.append(result)
    logger.info("%s: %s (%.1f s)", result.name, result.summary, result.seconds)
    return result


def peak_memory_mib() -> int:
    """Return the most memory that this process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
