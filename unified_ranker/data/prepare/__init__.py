"""Preparation as a job: from tables of any size to point-in-time examples, in stages that any engine carries."""
