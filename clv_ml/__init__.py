"""
Customer lifetime value in the warehouse: fit, export, score and explain what SQL prepared.

The public names; everything else may move. Each is imported when it is first used, so that a command which
needs few of them starts at once.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clv_ml.errors import ClvError
    from clv_ml.learn.training import TrainingResult, train
    from clv_ml.learn.training_data import TrainingData, read_training_rows, temporal_split
    from clv_ml.measure.metrics import evaluate_predictions as evaluate
    from clv_ml.serve.predictor import Explanation, Predictor
    from clv_ml.settings import Settings, load_settings

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

_HOMES = {
    "ClvError": "errors",
    "Explanation": "serve.predictor",
    "Predictor": "serve.predictor",
    "Settings": "settings",
    "TrainingData": "learn.training_data",
    "TrainingResult": "learn.training",
    "evaluate": "measure.metrics",
    "load_settings": "settings",
    "read_training_rows": "learn.training_data",
    "temporal_split": "learn.training_data",
    "train": "learn.training",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'clv_ml' has no attribute {name!r}")
    home = import_module(f"clv_ml.{_HOMES[name]}")
    return getattr(home, "evaluate_predictions" if name == "evaluate" else name)
