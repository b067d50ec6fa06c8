"""Training of the text encoder before the joint job, on nothing later than the end of the fit window."""

from unified_ranker.training.text.prepare_text import prepare_text

__all__ = ["prepare_text"]
