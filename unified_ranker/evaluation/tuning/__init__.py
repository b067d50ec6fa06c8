"""Search of settings by Optuna on the validation slice, with a process for each model."""
