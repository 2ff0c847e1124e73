"""
Metrics, the bootstrap, evaluation on dates and the comparison with baselines. Arrays in, numbers out; knows
no model.
"""
