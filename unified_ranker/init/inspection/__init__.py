"""Looking at a log: what its columns are good for, which surfaces it has, what counts as engagement."""
