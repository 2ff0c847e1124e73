"""Training rows as arrays: what SQL computed, read once, in a stated order."""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from clv_ml.errors import TrainingError, WarehouseError
from clv_ml.learn.column_roles import ColumnRoles, read_column_roles
from clv_ml.measure.metrics import Array
from clv_ml.settings import Settings
from clv_ml.warehouse.quoting import quoted_name

TYPES = {"integer": pa.types.is_integer, "decimal": pa.types.is_decimal, "double": pa.types.is_floating}


@dataclass(frozen=True)
class Customers:
    """n customers of one date without their answers: features, shape (n, k), and anchors, shape (n,)."""

    values: Array
    anchor: Array


@dataclass(frozen=True)
class TrainingData:
    """
    n customer-dates with k features, sorted by date and customer.

    ``values`` has shape (n, k), NULL as NaN; all other arrays, those of ``anchor_components`` (by column) and
    ``baselines`` (by estimator) too, have shape (n,). Money is in the reporting currency.
    """

    names: tuple[str, ...]
    types: tuple[str, ...]
    values: Array
    anchor: Array
    revenue: Array
    purchases: Array
    trainable: NDArray[np.bool_]
    customer: NDArray[np.str_]
    as_of: NDArray[np.datetime64]
    split: NDArray[np.str_]
    behavior: NDArray[np.str_]
    anchor_components: dict[str, Array]
    baselines: dict[str, Array]
    roles: ColumnRoles

    def __len__(self) -> int:
        return self.revenue.size

    def only(self, rows: NDArray[np.bool_]) -> "TrainingData":
        """The rows where the mask, shape (n,), is true."""
        arrays = {
            field.name: getattr(self, field.name)[rows]
            for field in fields(self)
            if isinstance(getattr(self, field.name), np.ndarray)
        }
        components, baselines = (
            {name: values[rows] for name, values in table.items()}
            for table in (self.anchor_components, self.baselines)
        )
        return replace(self, **arrays, anchor_components=components, baselines=baselines)

    @property
    def customers(self) -> Customers:
        """The rows without their answers."""
        return Customers(self.values, self.anchor)

    def total_ratio(self, expected: Array) -> Array:
        """
        The total of each row's date over what was expected of it: 0 where nobody spent, 1 where none
        was expected. ``expected`` has shape (n,).
        """
        _, date = np.unique(self.as_of, return_inverse=True)
        actual, total = np.bincount(date, self.revenue), np.bincount(date, expected)
        return np.divide(np.maximum(actual, 0.0), total, out=np.ones_like(total), where=total > 0)[date]

    def dates(self, split: str) -> NDArray[np.datetime64]:
        """The dates of a split, in order."""
        return np.unique(self.as_of[self.split == split])


def read_training_rows(connection: duckdb.DuckDBPyConnection, settings: Settings) -> TrainingData:
    """
    All rows of ``training_rows``.

    Raises:
        WarehouseError: If the table is absent.
        TrainingError: If it has no feature column.
    """
    try:
        schema = connection.sql("select * from training_rows limit 0").to_arrow_table().schema
        roles = read_column_roles(connection)
    except duckdb.CatalogException as error:
        raise WarehouseError(
            f"{settings.warehouse} lacks training_rows or column_roles. Build the features first (dbt run)."
        ) from error
    chosen = roles.features - set(settings.vars.excluded_features)
    features = {field.name: kind for field in schema if field.name in chosen and (kind := _kind(field.type))}
    if not features:
        raise TrainingError(
            "training_rows has no numeric feature. Switch feature groups on (var feature_groups)."
        )
    others = (roles.anchor, *roles.components, "label_revenue", "label_purchases", *roles.baselines.values())
    numbers = dict.fromkeys((*features, *others))
    table = connection.sql(
        f"select customer_id, as_of_date, split, behavior_type, is_trainable, {_doubles(numbers)} "
        "from training_rows order by as_of_date, customer_id"
    ).to_arrow_table()
    values = {name: table[name].to_numpy(zero_copy_only=False) for name in numbers}
    return TrainingData(
        names=tuple(features),
        types=tuple(features.values()),
        values=np.column_stack([np.asarray(values[name], dtype=np.float64) for name in features]),
        anchor=values[roles.anchor],
        revenue=values["label_revenue"],
        purchases=values["label_purchases"],
        trainable=table["is_trainable"].to_numpy(zero_copy_only=False).astype(bool),
        customer=np.asarray(table["customer_id"].to_pylist(), dtype=str),
        as_of=table["as_of_date"].to_numpy(zero_copy_only=False).astype("datetime64[D]"),
        split=np.asarray(table["split"].to_pylist(), dtype=str),
        behavior=np.asarray(table["behavior_type"].to_pylist(), dtype=str),
        anchor_components={name: values[name] for name in roles.components},
        baselines={name: values[column] for name, column in roles.baselines.items()},
        roles=roles,
    )


def _doubles(names: Iterable[str]) -> str:
    """The columns, each once, as SQL selects them."""
    quoted = map(quoted_name, dict.fromkeys(names))
    return ", ".join(f"cast({name} as double) as {name}" for name in quoted)


def _kind(type_: pa.DataType) -> str | None:
    """The type as a manifest writes it; None for what no model reads (text, dates, flags)."""
    return next((name for name, matches in TYPES.items() if matches(type_)), None)


def read_scoring_rows(
    connection: duckdb.DuckDBPyConnection, names: tuple[str, ...], anchor: str
) -> Customers:
    """
    The customers of the scoring date, from ``scoring_rows``, with the features named, in their order, and the
    column that is their anchor.
    """
    columns = _doubles((*names, anchor))
    table = connection.sql(f"select {columns} from scoring_rows order by customer_id").to_arrow_table()
    values = [np.asarray(table[name].to_numpy(zero_copy_only=False), dtype=np.float64) for name in names]
    return Customers(np.column_stack(values), table[anchor].to_numpy(zero_copy_only=False))


def label_ends(days: NDArray[np.datetime64], settings: Settings) -> NDArray[np.datetime64]:
    """From when the labels of dates are final. Shape (n,)."""
    return days + np.timedelta64(settings.vars.label_days, "D")


def temporal_split(data: TrainingData) -> dict[str, TrainingData]:
    """
    The rows by their place in time: ``train``, ``calibrate``, ``test``, and ``embargo`` (windows that reach
    into the test date's). SQL decides it, in ``as_of_dates``; splitting customers at random is not an
    evaluation.
    """
    return {str(name): data.only(data.split == name) for name in np.unique(data.split)}
