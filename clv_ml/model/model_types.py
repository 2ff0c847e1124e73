"""The kinds of model that can be fitted, by the names that ``clv train --model-type`` takes."""

from typing import Literal

ModelType = Literal["lightgbm", "ridge", "ensemble"]
MODEL_TYPES: tuple[ModelType, ...] = ("lightgbm", "ridge", "ensemble")
