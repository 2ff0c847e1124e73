"""A fitted model at work: scores, drivers, narratives, the SQL plugin, the notebook's `Predictor`."""
