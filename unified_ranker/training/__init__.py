"""Training job: batches, optimizer, callbacks, and the files of the trained model."""
