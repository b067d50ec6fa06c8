"""Parts of the model that belong to a surface: imputation, objectives, heads and their losses."""
