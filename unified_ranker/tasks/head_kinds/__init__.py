"""Kinds of ranking heads: what a head learns, what it puts out, and how a report words it; one file a kind."""

from unified_ranker.tasks.head_kinds import event_head

__all__ = ["event_head"]
