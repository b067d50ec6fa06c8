"""One model against specialists, ablations and baselines, under one protocol and one budget."""
