"""Parts of the model that belong to a surface: imputation, losses, negatives, heads."""
