"""The Python API of a model: load, save, predict one or many, explain; faults are named."""

import math
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from shops import copied, frame

from clv_ml import Predictor
from clv_ml.errors import FeatureMismatchError, ModelError
from clv_ml.model import registry
from clv_ml.serve.narrative import amount_text
from clv_ml.settings import Settings

OUTPUTS = [
    "clv_predicted",
    "clv_typical",
    "churn_probability",
    "clv_low",
    "clv_high",
    "clv_prediction_confidence",
]


@pytest.fixture(scope="module")
def predictor(trained: Settings) -> Predictor:
    """The champion of the simulated shop."""
    return Predictor.load(trained.models)


@pytest.fixture(scope="module")
def anchor(trained: Settings) -> str:
    """The column that the model multiplies."""
    model = registry.load(trained.models)
    assert model is not None
    assert model.manifest.anchor is not None
    return model.manifest.anchor


@pytest.fixture(scope="module")
def rows(trained: Settings) -> pd.DataFrame:
    """Forty customers as the scoring table has them."""
    return frame(trained, "select * from scoring_rows order by customer_id limit 40")


def test_loads_the_champion_or_the_version_named(trained: Settings, predictor: Predictor):
    """
    Both ways to the same model.
    """
    pointer = registry.champion(trained.models)

    assert pointer is not None
    assert predictor.version == pointer.version
    assert Predictor.load(trained.models, pointer.version).version == pointer.version


def test_says_what_is_absent(tmp_path: Path, trained: Settings):
    """
    A folder without a champion, and a version that is not there, are named with the remedy.
    """
    with pytest.raises(ModelError, match=r"has no champion. Train one"):
        Predictor.load(tmp_path)
    with pytest.raises(ModelError, match=r"'v0' is not in .*there are: lightgbm-"):
        Predictor.load(trained.models, "v0")


def test_a_saved_copy_predicts_the_same(predictor: Predictor, rows: pd.DataFrame, tmp_path: Path):
    """
    Another folder, the same version, the same bits; saving there again is refused, since versions never
    change.
    """
    folder = predictor.save(tmp_path / "elsewhere")

    copy = Predictor.load(tmp_path / "elsewhere", predictor.version)

    assert folder == tmp_path / "elsewhere" / predictor.version
    pd.testing.assert_frame_equal(copy.predict_batch(rows), predictor.predict_batch(rows), check_exact=True)
    with pytest.raises(ModelError, match="Versions never change"):
        predictor.save(tmp_path / "elsewhere")


def test_one_customer_equals_its_row_of_a_batch(predictor: Predictor, rows: pd.DataFrame):
    """
    The same numbers exactly, whatever stands around the row.
    """
    batch = predictor.predict_batch(rows)

    alone = [predictor.predict(row) for row in rows.to_dict("records")]

    assert list(batch.columns) == OUTPUTS
    pd.testing.assert_frame_equal(pd.DataFrame(alone), batch, check_exact=True)


def test_predictions_are_sensible(predictor: Predictor, rows: pd.DataFrame):
    """
    Money is never negative, a chance and a confidence lie between 0 and 1, an interval is ordered.
    """
    found = predictor.predict_batch(rows)

    assert (found[["clv_predicted", "clv_typical"]] >= 0).all().all()
    assert found.churn_probability.between(0, 1).all()
    assert found.clv_prediction_confidence.between(0, 1).all()
    assert (found.clv_low <= found.clv_high).all()


def test_order_of_columns_and_rows_does_not_matter(predictor: Predictor, rows: pd.DataFrame):
    """
    Columns are found by name, the index is kept, an Arrow table does as well as a data frame.
    """
    expected = predictor.predict_batch(rows)
    shuffled = rows.sample(frac=1, random_state=1)[list(reversed(rows.columns))]

    found = predictor.predict_batch(shuffled)

    assert found.index.tolist() == shuffled.index.tolist()
    pd.testing.assert_frame_equal(found.sort_index(), expected, check_exact=True)
    pd.testing.assert_frame_equal(
        predictor.predict_batch(pa.Table.from_pandas(rows)), expected, check_exact=True
    )


def test_missing_columns_are_named(predictor: Predictor, rows: pd.DataFrame):
    """
    Every one of them, for a batch, a customer and an explanation.
    """
    gone = list(predictor.columns[:2])
    lacking = rows.drop(columns=gone)

    for call in (
        lambda: predictor.predict_batch(lacking),
        lambda: predictor.predict(lacking.iloc[0].to_dict()),
        lambda: predictor.explain(lacking.iloc[0].to_dict()),
    ):
        with pytest.raises(FeatureMismatchError) as caught:
            call()
        assert all(name in str(caught.value) for name in gone)


def test_a_column_of_text_is_refused_by_name(predictor: Predictor, rows: pd.DataFrame):
    """
    A number written as text is not guessed at.
    """
    name = predictor.columns[0]

    with pytest.raises(FeatureMismatchError, match=name):
        predictor.predict_batch(rows.assign(**{name: "12"}))


def test_none_nan_and_absent_values_are_one(predictor: Predictor, rows: pd.DataFrame, anchor: str):
    """
    None, NaN and pandas' NA are the same missing value; a missing anchor leaves nothing to multiply, so no
    prediction.
    """
    features = [name for name in predictor.columns if name != anchor]
    customer = rows.iloc[0].to_dict()

    by_none = predictor.predict({**customer, features[0]: None})
    by_nan = predictor.predict({**customer, features[0]: float("nan")})
    without_anchor = predictor.predict({**customer, anchor: None})

    assert by_none == by_nan
    assert by_none["clv_predicted"] is not None
    assert without_anchor["clv_predicted"] is None


def test_decimals_and_integers_are_read_exactly(predictor: Predictor, rows: pd.DataFrame, anchor: str):
    """
    Money as Decimal, as the warehouse has it, gives what the nearest double gives.
    """
    customer = rows.iloc[1].to_dict()
    value = customer[anchor]

    as_decimal = predictor.predict({**customer, anchor: Decimal(str(value))})

    assert as_decimal == predictor.predict({**customer, anchor: float(value)})


def test_an_empty_batch_gives_an_empty_answer(predictor: Predictor, rows: pd.DataFrame):
    """
    No rows in, no rows out, the columns there.
    """
    found = predictor.predict_batch(rows.iloc[:0])

    assert found.shape == (0, len(OUTPUTS))


def test_an_explanation_adds_up_and_names_its_strongest(predictor: Predictor, rows: pd.DataFrame):
    """
    Base plus contributions is the prediction; the top names are sorted by size and sign; the narrative has
    the amount.
    """
    for row in rows.head(5).to_dict("records"):
        found = predictor.explain(row)

        assert found.prediction == predictor.predict(row)["clv_predicted"]
        assert math.fsum([found.base, *found.contributions.values()]) == pytest.approx(
            found.prediction, rel=1e-9
        )
        ups = [found.contributions[name] for name in found.top_positive]
        downs = [found.contributions[name] for name in found.top_negative]
        assert ups == sorted(ups, reverse=True)
        assert all(value > 0 for value in ups)
        assert downs == sorted(downs)
        assert all(value < 0 for value in downs)
        assert f"GBP {amount_text(found.prediction)}" in found.narrative


def test_a_customer_moved_by_a_feature_has_it_among_the_drivers(
    predictor: Predictor, rows: pd.DataFrame, anchor: str
):
    """
    The anchor multiplies the prediction, so ten times the anchor is ten times the value, and the anchor says
    so.
    """
    customer = {**rows.iloc[0].to_dict()}
    tenfold = {**customer, anchor: 10 * customer[anchor]}

    before, after = predictor.explain(customer), predictor.explain(tenfold)

    np.testing.assert_allclose(after.prediction, 10 * before.prediction, rtol=1e-9)
    changed = {
        name for name in after.contributions if after.contributions[name] > before.contributions[name] + 1e-9
    }
    assert changed


def test_a_folder_copied_whole_keeps_its_champion(trained: Settings, predictor: Predictor, tmp_path: Path):
    """
    The folders are the truth: a backup is a copy.
    """
    elsewhere = copied(trained, tmp_path / "backup")

    assert Predictor.load(str(elsewhere.models)).version == predictor.version
