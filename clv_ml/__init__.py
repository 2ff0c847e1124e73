"""
Customer lifetime value in the warehouse: fit, export, score and explain what SQL prepared.

The public names; everything else may move.
"""

from clv_ml.errors import ClvError
from clv_ml.metrics import evaluate_predictions as evaluate
from clv_ml.predictor import Explanation, Predictor
from clv_ml.settings import Settings, load_settings
from clv_ml.training import TrainingResult, train
from clv_ml.training_data import TrainingData, read_training_rows, temporal_split

__all__ = [
    "ClvError",
    "Explanation",
    "Predictor",
    "Settings",
    "TrainingData",
    "TrainingResult",
    "evaluate",
    "load_settings",
    "read_training_rows",
    "temporal_split",
    "train",
]
