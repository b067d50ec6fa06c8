"""Kinds of ranking heads: loss, output, calibration and line in a report, with a file for each kind."""

from unified_ranker.tasks.head_kinds import event_head

__all__ = ["event_head"]
