"""What a surface adds to the shared model: imputation, losses, negatives, heads."""
