"""The reference: what a recipe predicts by LightGBM and NumPy, without an ONNX graph."""

import subprocess
import sys

import numpy as np
import pytest
from small_models import anchors, booster, recipe, rows, target, trees_only

from clv_ml.errors import ExportError
from clv_ml.model.prediction import predict


def test_a_recipe_is_evaluated_without_onnx_runtime():
    """
    Importing the reference and the fits, in a process of its own, loads neither ONNX nor its runtime.
    """
    code = (
        "import sys; import clv_ml.model.prediction, clv_ml.learn.model_types; "
        "print([name for name in sys.modules if name.partition('.')[0] in ('onnx', 'onnxruntime')])"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_reference_is_the_formula_by_hand():
    """
    The reference's mean equals half Tweedie plus half chance times amount, times anchor.
    """
    model, table, anchor = recipe(), rows(50, seed=3), anchors(50)
    first, second = model.outputs[0].terms
    spend = model.boosters[first.factors[0].name].predict(table, raw_score=True)
    buys = model.boosters[second.factors[0].name].predict(table, raw_score=True)

    expected = 0.5 * anchor * np.exp(spend) + 0.5 * anchor * np.exp(0.5 * spend) / (
        1 + np.exp(-(1.1 * buys - 0.2))
    )

    np.testing.assert_allclose(predict(model, table, anchor)["clv_predicted"], expected, rtol=1e-14)


def test_one_over_a_sigmoid_is_that():
    """
    The same booster under both links: their product is 1.
    """
    grown = booster(rows(), target(rows()))
    chance, inverse = (
        predict(trees_only(grown, link), rows())["score"] for link in ("sigmoid", "one_over_sigmoid")
    )

    np.testing.assert_allclose(chance * inverse, 1.0, rtol=1e-14)


def test_reference_asks_for_the_anchor():
    """
    An anchored recipe without anchors is refused by the anchor's name.
    """
    with pytest.raises(ExportError, match="clv_anchor"):
        predict(recipe(), rows(3))
