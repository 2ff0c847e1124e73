"""From training rows to a model: fits, calibration, choice of candidate, training, tuning, backtest."""
