"""`unified-ranker init`: a project written by looking at a log."""
