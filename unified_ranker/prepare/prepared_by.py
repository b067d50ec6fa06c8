"""Declarations that the prepared data depends on: the same declarations and data give the same examples."""

from unified_ranker.config import Config

PREPARED_BY = ("project.data", "project.split.train", "project.split.validation", "towers.user.history_events")
PREPARED_BY_TASK = frozenset({"positives", "first_engagement_only"})
"""Fields of each task's file that the prepared data depends on."""


def parts_of_tasks(config: Config, fields: frozenset[str] | set[str]) -> list[str]:
    """Return the paths of fields of every task, for `Config.digest`."""
    return [f"tasks.{name}.{field}" for name in config.tasks for field in sorted(fields)]
