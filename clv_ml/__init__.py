"""Customer lifetime value in the warehouse: fit, export, score and explain what SQL prepared."""
