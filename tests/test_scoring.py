"""The kernel: columns by name, exact doubles, the same bits in any batch."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import FEATURES, anchors, published, rows

from clv_ml.errors import FeatureMismatchError
from clv_ml.model.model_files import LoadedModel
from clv_ml.model.prediction import predict
from clv_ml.serve import scoring
from clv_ml.serve.columns import feature_matrix, to_doubles
from clv_ml.serve.scoring import score


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    """The small model, published once."""
    folder: Path = tmp_path_factory.mktemp("models")
    return published(folder)


def _batch(table: np.ndarray, anchor: np.ndarray) -> pa.RecordBatch:
    columns = {name: pa.array(table[:, i], from_pandas=True) for i, name in enumerate(FEATURES)}
    return pa.RecordBatch.from_pydict({**columns, "clv_anchor": pa.array(anchor, from_pandas=True)})


def _values(result: pa.StructArray) -> dict[str, np.ndarray]:
    names = [result.type.field(i).name for i in range(result.type.num_fields)]
    return {name: result.field(name).to_numpy(zero_copy_only=False) for name in names}


def test_scores_are_the_reference_predictions(model: LoadedModel):
    """
    LightGBM's own predictions through the formula, to 1e-12; one field per output, in order.
    """
    expected = predict(model.recipe, rows(), anchors())

    result = score(model, _batch(rows(), anchors()))

    assert [field.name for field in result.type][: len(expected)] == list(expected)
    for name, values in _values(result).items():
        np.testing.assert_allclose(values, expected[name], rtol=1e-12, atol=1e-14)


def test_struct_table_and_batch_give_the_same_in_any_column_order(model: LoadedModel):
    """
    Columns are found by name; others, even unreadable ones, are ignored.
    """
    batch = _batch(rows(), anchors())
    mixed = pa.table(batch).select(list(reversed(batch.schema.names)))
    mixed = mixed.append_column("customer_id", pa.array(["c"] * 300))
    chunked = pa.concat_tables([mixed.slice(0, 7), mixed.slice(7, 100), mixed.slice(107)])

    expected = score(model, batch)

    assert score(model, mixed).equals(expected)
    assert score(model, chunked).equals(expected)
    assert score(model, mixed.combine_chunks().to_struct_array().chunk(0)).equals(expected)
    assert score(model, batch.to_struct_array().slice(5, 50)).equals(expected.slice(5, 50))


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 16, 17, 99, 255])
def test_bits_do_not_depend_on_batch_size(model: LoadedModel, size: int):
    """
    Exp is computed in packets: without padding the last rows of an odd batch differ in the last bit.
    """
    batch = _batch(rows(), anchors())
    expected = _values(score(model, batch))

    parts = [_values(score(model, batch.slice(at, size))) for at in range(0, 300, size)]

    for name in expected:
        np.testing.assert_array_equal(np.concatenate([part[name] for part in parts]), expected[name])


def test_bits_do_not_depend_on_chunks_or_threads(model: LoadedModel, monkeypatch: pytest.MonkeyPatch):
    """
    Internal chunks, and calls from four threads at once, give what one call gives.
    """
    batch = _batch(rows(), anchors())
    expected = score(model, batch)

    monkeypatch.setattr(scoring, "CHUNK_ROWS", 37)
    monkeypatch.setattr(scoring, "FILL_ROWS", 10)

    with ThreadPoolExecutor(4) as pool:
        at_once = list(pool.map(lambda _: score(model, batch), range(4)))
    assert all(found.equals(expected) for found in at_once)
    assert score(model, pa.table(batch)).equals(expected)


def test_no_rows_give_no_rows(model: LoadedModel):
    """
    Zero rows keep the result's type, for batches, tables without chunks and structs.
    """
    batch = _batch(rows(), anchors())
    typed = score(model, batch).type

    for empty in (batch.slice(0, 0), batch.schema.empty_table(), batch.slice(0, 0).to_struct_array()):
        result = score(model, empty)
        assert len(result) == 0 and result.type == typed


def test_null_features_are_missing_and_null_anchor_has_no_prediction(model: LoadedModel):
    """
    A column that is NULL throughout, of any type, is a missing feature; a NULL anchor gives NULL, not a
    number.
    """
    table, anchor = rows(40), anchors(40)
    table[:, 1] = np.nan
    anchor[3] = np.nan
    batch = _batch(table, anchor).set_column(1, FEATURES[1], pa.nulls(40))

    result = score(model, batch)

    assert result.field("clv_predicted").null_count == 1 and not result.field("clv_predicted")[3].is_valid
    assert result.field("churn_probability").null_count == 0
    expected = predict(model.recipe, table, anchor)["churn_probability"]
    np.testing.assert_allclose(_values(result)["churn_probability"], expected, rtol=1e-12)


def test_null_struct_has_no_prediction(model: LoadedModel):
    """
    A row that is NULL as a whole gives NULL fields and leaves its neighbours alone.
    """
    structs = _batch(rows(20), anchors(20)).to_struct_array()
    holed = pa.StructArray.from_arrays(
        structs.flatten(), fields=list(structs.type), mask=pa.array([i == 4 for i in range(20)])
    )

    result = score(model, holed)

    assert all(result.field(i).null_count == 1 for i in range(4))
    assert result.take(pa.array([3, 5])).equals(score(model, structs).take(pa.array([3, 5])))


def test_overflow_is_null(model: LoadedModel):
    """
    A number beyond doubles is no prediction.
    """
    anchor = anchors(5)
    anchor[2] = np.inf

    assert score(model, _batch(rows(5), anchor)).field("clv_predicted").is_null().to_pylist() == [
        False,
        False,
        True,
        False,
        False,
    ]


def test_missing_columns_are_refused_by_name(model: LoadedModel):
    """
    All of them at once, the anchor included, with the remedy.
    """
    batch = pa.table(_batch(rows(), anchors())).drop_columns(["orders", "clv_anchor"])

    with pytest.raises(FeatureMismatchError, match=r"'v1'.*lacks: orders, clv_anchor\..*clv train"):
        score(model, batch)


@pytest.mark.parametrize(
    "column",
    [
        pa.array(["1"] * 300),
        pa.array([b"1"] * 300),
        pa.array([0] * 300, pa.timestamp("us")),
        pa.array([0] * 300, pa.date32()),
        pa.array([[1.0]] * 300),
        pa.array(["1"] * 300).dictionary_encode(),
    ],
)
def test_other_types_are_refused_by_name(model: LoadedModel, column: pa.Array):
    """
    A string of digits is not a number: training would have read it otherwise.
    """
    batch = pa.table(_batch(rows(), anchors())).set_column(2, "orders", column)

    with pytest.raises(FeatureMismatchError, match=r"hold something else: orders \("):
        score(model, batch)


def test_a_column_that_stands_twice_is_refused(model: LoadedModel):
    """
    Which of the two was meant cannot be known.
    """
    batch = pa.table(_batch(rows(), anchors())).append_column("orders", pa.array([0.0] * 300))

    with pytest.raises(FeatureMismatchError, match="twice: orders"):
        score(model, batch)


def test_struct_without_fields_lacks_columns(model: LoadedModel):
    """
    The smallest wrong input.
    """
    with pytest.raises(FeatureMismatchError, match="lacks: days_since_last_purchase"):
        score(model, pa.array([{}], pa.struct([])))


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([1, None, -3], pa.int8()), [1.0, np.nan, -3.0]),
        (pa.array([2**63 - 1, 0], pa.int64()), [2.0**63, 0.0]),
        (pa.array([2**64 - 1], pa.uint64()), [2.0**64]),
        (pa.array([True, None, False]), [1.0, np.nan, 0.0]),
        (pa.array([1.5, None], pa.float32()), [1.5, np.nan]),
        (pa.array([0.1, None, np.nan], pa.float64()), [0.1, np.nan, np.nan]),
        (pa.nulls(2), [np.nan, np.nan]),
        (
            pa.array([Decimal("0.07"), None, Decimal("-123456.79")], pa.decimal128(18, 2)),
            [0.07, np.nan, -123456.79],
        ),
        (pa.array([Decimal(23739688464237218).scaleb(-2)], pa.decimal128(18, 2)), [23739688464237218 / 100]),
        (pa.array([Decimal("0.07")], pa.decimal64(18, 2)), [0.07]),
        (pa.array([Decimal("-0.07"), None], pa.decimal32(9, 2)), [-0.07, np.nan]),
        (pa.array([Decimal("0.07"), None], pa.decimal256(50, 2)), [0.07, np.nan]),
        (pa.array([Decimal(10**37), Decimal(-(10**30))], pa.decimal128(38, 0)), [1e37, -1e30]),
    ],
)
def test_numbers_of_every_type_become_doubles(column: pa.Array, expected: list[float]):
    """
    NULL is NaN; decimals and wide integers are the nearest double.
    """
    np.testing.assert_array_equal(to_doubles(column), expected)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.one_of(st.none(), st.integers(-(10**18) + 1, 10**18 - 1)), min_size=1, max_size=20),
    st.integers(0, 18),
    st.integers(0, 5),
)
def test_decimals_are_the_nearest_double(integers: list[int | None], scale: int, offset: int):
    """
    Second way: Python's own correctly rounded ``float(Decimal)``; a sliced column reads its own rows.
    """
    values = [None if value is None else Decimal(value).scaleb(-scale) for value in integers]
    column = pa.array(values, pa.decimal128(38, scale)).slice(offset)

    expected = [np.nan if value is None else float(value) for value in values[offset:]]

    np.testing.assert_array_equal(to_doubles(column), np.array(expected, dtype=float))


def test_feature_matrix_is_row_major_in_the_asked_order():
    """
    For explanations: the same doubles that the kernel reads.
    """
    matrix = feature_matrix(_batch(rows(10), anchors(10)), ("orders", "clv_anchor"))

    np.testing.assert_array_equal(matrix, np.column_stack([rows(10)[:, 2], anchors(10)]))
    assert matrix.flags.c_contiguous
