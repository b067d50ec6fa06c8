"""Settings searched by Optuna on the validation slice, a process for each model."""
