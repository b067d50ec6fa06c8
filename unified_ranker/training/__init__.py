"""The training job, what watches it, and where its model is kept."""
