"""Metrics, bootstrap, evaluation, comparison with baselines. Arrays in, numbers out; knows no model."""
