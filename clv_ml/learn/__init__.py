"""
From training rows to a model and what corrects it: fits, calibration, choice of candidate, training, tuning,
backtest.
"""
