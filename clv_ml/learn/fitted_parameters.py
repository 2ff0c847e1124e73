"""The table ``fitted_parameters``: BTYD models of each grid date, fitted where they are missing."""

import datetime as dt

import duckdb
import numpy as np

from clv_ml.learn.btyd_fitting import fit_bgnbd, fit_gammagamma, fit_paretonbd
from clv_ml.learn.renewal_fitting import fit_renewal
from clv_ml.learn.threads import one_blas_thread
from clv_ml.warehouse.queries import query_text

DAYS_A_WEEK = 7.0
MARKER = "btyd_customers"
"""The row that says a date is done: on how many customers it was fitted."""


def fit_missing_dates(connection: duckdb.DuckDBPyConnection) -> list[dt.date]:
    """
    Fits the grid dates of ``as_of_dates`` whose features have no fit yet, or have changed since, into
    ``fitted_parameters``, one transaction a date, and gives the dates written, in order.

    A date is done once it has a row ``btyd_customers``, even where no model converged. A date without
    customers is left for later.

    Raises:
        duckdb.Error: If a table is absent or the connection cannot write; the dates before stay written.
    """
    missing = connection.execute(query_text("btyd_missing_dates"), {"marker": MARKER}).fetchall()
    written = []
    for date, build_hash in missing:
        parameters, customers = fit_date(connection, date)
        if customers:
            _write(connection, date, build_hash, {**parameters, MARKER: float(customers)})
            written.append(date)
    return written


def _write(
    connection: duckdb.DuckDBPyConnection, date: dt.date, build_hash: str, values: dict[str, float]
) -> None:
    rows = [(date, build_hash, name, value) for name, value in sorted(values.items())]
    connection.execute("begin transaction")
    try:
        connection.execute("delete from fitted_parameters where fitted_as_of = ?", [date])
        connection.executemany("insert into fitted_parameters values (?, ?, ?, ?)", rows)
        connection.execute("commit")
    except duckdb.Error:
        connection.execute("rollback")
        raise


@one_blas_thread
def fit_date(connection: duckdb.DuckDBPyConnection, as_of_date: dt.date) -> tuple[dict[str, float], int]:
    """
    Fits all four models on what ``customer_rfm`` says of the date: parameters of those that converged by
    name (``bgnbd_r``, ``gammagamma_gamma``), and on how many customers.

    Raises:
        duckdb.Error: If the table is absent.
    """
    found = connection.execute(query_text("btyd_histories"), {"as_of_date": as_of_date}).fetchnumpy()
    purchases, active, age, revenue, log_gap, log_gap_sd, customers = map(np.asarray, found.values())
    gaps = (purchases - 1, log_gap, log_gap_sd, age - active, customers)
    history = (purchases - 1, active / DAYS_A_WEEK, age / DAYS_A_WEEK, customers)
    paid = revenue > 0
    value = (purchases[paid], revenue[paid] / purchases[paid], customers[paid])
    fits = [fit_bgnbd(*history), fit_paretonbd(*history), fit_gammagamma(*value), fit_renewal(*gaps)]
    parameters = {
        f"{fit.name}_{name}": value for fit in fits if fit.converged for name, value in fit.parameters.items()
    }
    return parameters, int(customers.sum())
