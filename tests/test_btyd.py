"""The BTYD models agree with simulated customers, the papers' formulas and the published CDNOW fits."""

import datetime as dt
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from closed_forms import gammagamma_expected_value
from scipy.special import hyp2f1

from clv_ml.learn import btyd_fitting
from clv_ml.learn.btyd import (
    bgnbd_alive,
    bgnbd_expected_purchases,
    paretonbd_alive,
    paretonbd_expected_purchases,
)
from clv_ml.learn.btyd_fitting import (
    bgnbd_likelihood,
    fit_bgnbd,
    fit_gammagamma,
    fit_paretonbd,
    gammagamma_likelihood,
    paretonbd_likelihood,
)
from clv_ml.learn.btyd_functions import FUNCTIONS, evaluate, register_functions
from clv_ml.learn.btyd_integrals import log_left_integral
from clv_ml.learn.fitted_parameters import fit_date, fit_missing_dates

CDNOW = Path(__file__).resolve().parents[2] / "shared" / "data" / "cdnow_sample.parquet"
BGNBD = (0.243, 4.414, 0.793, 2.426)
PARETONBD = (0.553, 10.578, 0.606, 11.669)
EXTREMES = [10.0**k for k in (-3, -1, 0, 1, 4)]
DATE = dt.date(2025, 3, 1)


def some_customers(n, seed=1):
    """Repeat purchases, recency and age in weeks."""
    rng = np.random.default_rng(seed)
    x = rng.poisson(rng.gamma(0.5, 5, n)).astype(float)
    age = rng.uniform(1, 80, n)
    return x, np.where(x > 0, age * rng.random(n), 0), age


def simulated_bgnbd(n, age, horizon, r, alpha, a, b):
    """
    Repeat purchases and recency up to ``age``, and purchases in the ``horizon`` after it, purchase by
    purchase.
    """
    rng = np.random.default_rng(11)
    rate, leave = rng.gamma(r, 1 / alpha, n), rng.beta(a, b, n)
    x, t_x, later = np.zeros(n), np.zeros(n), np.zeros(n)
    time, active = np.zeros(n), np.arange(n)
    while active.size:
        time[active] += rng.exponential(1 / np.maximum(rate[active], 1e-12))
        active = active[time[active] < age + horizon]
        before = active[time[active] < age]
        x[before] += 1
        t_x[before] = time[before]
        later[active[time[active] >= age]] += 1
        active = active[rng.random(active.size) >= leave[active]]
    return x, t_x, later


def simulated_paretonbd(n, age, horizon, r, alpha, s, beta):
    """The same for Pareto/NBD: given their number, purchases fall evenly over the active time."""
    rng = np.random.default_rng(12)
    rate, left_at = rng.gamma(r, 1 / alpha, n), rng.exponential(1 / rng.gamma(s, 1 / beta, n))
    active = np.minimum(left_at, age)
    x = rng.poisson(rate * active).astype(float)
    t_x = np.where(x > 0, active * rng.random(n) ** (1 / np.maximum(x, 1)), 0)
    later = rng.poisson(rate * (np.clip(left_at, age, age + horizon) - age))
    return x, t_x, later.astype(float)


@pytest.mark.parametrize(
    ("simulated", "expected", "parameters"),
    [
        (simulated_bgnbd, bgnbd_expected_purchases, BGNBD),
        (simulated_bgnbd, bgnbd_expected_purchases, (2.0, 12.0, 1.0, 3.0)),
        (simulated_paretonbd, paretonbd_expected_purchases, PARETONBD),
        (simulated_paretonbd, paretonbd_expected_purchases, (2.0, 8.0, 1.0, 30.0)),
    ],
)
def test_expected_purchases_match_simulated_customers(simulated, expected, parameters):
    """
    In every bin of count and recency, 400,000 customers buy what is expected, within four standard errors.
    """
    age, horizon = 39.0, 26.0
    x, t_x, later = simulated(400_000, age, horizon, *parameters)

    mean = expected(x, t_x, age, horizon, *parameters)

    for low, high in [(0, 0), (1, 1), (2, 3), (4, 8), (9, 10_000)]:
        for recent in (False, True):
            rows = (x >= low) & (x <= high) & ((t_x > 0.7 * age) == recent)
            if rows.sum() > 100:
                error = later[rows].std() / np.sqrt(rows.sum())
                assert abs(later[rows].mean() - mean[rows].mean()) < 4 * error + 1e-12


def test_expected_purchases_match_hand_worked_numbers():
    """
    The one-line integrals (a = 1, s = 1), the worked example of the BG/NBD paper's spreadsheet, and R's BTYD
    manual.
    """
    assert bgnbd_expected_purchases(0, 0, 1, 2, 1, 1, 1, 1)[0] == pytest.approx(np.log(2), rel=1e-13)
    assert bgnbd_expected_purchases(2, 30.43, 38.86, 39, *BGNBD)[0] == pytest.approx(1.226, abs=5e-4)
    # r = alpha = s = beta = 1, x = 0, age 1: stayed 1/4, left the integral of (1 + y)^-3, 3/8; ln 2 if active
    assert paretonbd_alive(0, 0, 1, 1, 1, 1, 1)[0] == pytest.approx(0.25 / (0.25 + 0.375), rel=1e-13)
    assert paretonbd_expected_purchases(0, 0, 1, 2, 1, 1, 1, 1)[0] == pytest.approx(
        0.4 * np.log(2), rel=1e-13
    )
    assert paretonbd_alive(26, 30.86, 31, *PARETONBD)[0] == pytest.approx(0.9979, abs=5e-5)
    assert paretonbd_expected_purchases(26, 30.86, 31, 52, *PARETONBD)[0] == pytest.approx(25.46, abs=0.01)


@pytest.mark.parametrize("parameters", [BGNBD, (0.7, 8.0, 0.1, 1.5), (2.0, 10.0, 3.0, 9.0)])
def test_bgnbd_matches_the_papers_closed_form(parameters):
    """
    Equation (10) of the paper, its 2F1 by Euler's transformation so that scipy keeps its digits here.
    """
    r, alpha, a, b = parameters
    x, t_x, age = some_customers(2_000)
    horizon, start = 26.0, alpha + age

    series = hyp2f1(a + b - 1 - r, a - 1, a + b + x - 1, horizon / (start + horizon))
    closed = (a + b + x - 1) / (a - 1) * (1 - (start / (start + horizon)) ** (a - 1) * series)
    odds = np.where(x > 0, a / (b + np.maximum(x, 1) - 1) * (start / (alpha + t_x)) ** (r + x), 0)

    np.testing.assert_allclose(bgnbd_alive(x, t_x, age, *parameters), 1 / (1 + odds), rtol=1e-12)
    np.testing.assert_allclose(
        bgnbd_expected_purchases(x, t_x, age, horizon, *parameters), closed / (1 + odds), rtol=1e-11
    )


@pytest.mark.parametrize("parameters", [PARETONBD, (0.5, 2.0, 0.3, 30.0), (2.0, 30.0, 1.5, 3.0)])
def test_paretonbd_integral_is_the_papers_difference_of_2f1(parameters):
    """
    A0 of Fader and Hardie, in both of its branches, where its 2F1 keep their digits.
    """
    r, alpha, s, beta = parameters
    x, t_x, age = some_customers(2_000)
    rows = (x < 15) & (age - t_x > 5)
    x, t_x, age = x[rows], t_x[rows], age[rows]
    larger, total = max(alpha, beta), r + s + x

    def term(time):
        second = s + 1 if alpha >= beta else r + x
        argument = abs(alpha - beta) / (larger + time)
        return hyp2f1(total, second, total + 1, argument) / (larger + time) ** total

    a0 = (term(t_x) - term(age)) / total

    np.testing.assert_allclose(np.exp(log_left_integral(x, t_x, age, *parameters)[0]), a0, rtol=1e-10)


def test_a_near_one_is_continuous():
    """
    The paper's formula divides by a - 1; ours changes by no more than a does.
    """
    near = 1 + np.array([-1e-6, -1e-12, 0, 1e-12, 1e-6])

    value = bgnbd_expected_purchases(3, 20, 30, 26, 0.5, 6, near, 2)
    pareto = paretonbd_expected_purchases(3, 20, 30, 26, 0.5, 6, near, 20)

    np.testing.assert_allclose(value, value[2], rtol=1e-6)
    np.testing.assert_allclose(pareto, pareto[2], rtol=1e-5)


@pytest.mark.parametrize("alive", [bgnbd_alive, paretonbd_alive])
def test_extremes_stay_in_range(alive):
    """
    Tiny and huge parameters, 10,000 purchases, ages from 0 to a century: finite, not negative, at most the
    most that a customer who never leaves would buy.
    """
    expected = bgnbd_expected_purchases if alive is bgnbd_alive else paretonbd_expected_purchases
    grid = np.meshgrid([0.0, 1, 100, 1e4], [0, 0.5, 1], [0.0, 1, 5_000], *[EXTREMES] * 4)
    x, share, age, *parameters = (axis.ravel() for axis in grid)
    t_x = np.where(x > 0, share * age, 0)

    chance = alive(x, t_x, age, *parameters)
    mean = expected(x, t_x, age, 52.0, *parameters)

    most = (parameters[0] + x) * 52 / (parameters[1] + age)
    assert ((chance >= 0) & (chance <= 1)).all()
    assert ((mean >= 0) & (mean <= most * (1 + 1e-9))).all()


def test_arguments_out_of_range_are_refused():
    """
    The message names the argument and the first row; a horizon of 0 is fine, NaN gives NaN.
    """
    with pytest.raises(ValueError, match=r"alpha must be finite and positive; 1 of 2 rows .* row 1"):
        bgnbd_alive([1, 1], 1, 2, 1, [1, 0], 1, 1)
    with pytest.raises(ValueError, match="age - t_x must be finite and not negative"):
        paretonbd_alive(1, 3, 2, 1, 1, 1, 1)
    with pytest.raises(ValueError, match="q - 1 must be finite and positive"):
        gammagamma_expected_value(1, 10, 2, 0.9, 10)
    assert bgnbd_expected_purchases(1, 1, 2, 0, *BGNBD)[0] == 0
    assert np.isnan(bgnbd_expected_purchases([np.nan, 1], 1, 2, 4, *BGNBD)).tolist() == [True, False]


def test_order_value_is_shrunk_towards_the_shop():
    """
    Hand-worked: 2 (10 + 3 x 20) / (2 x 3 + 3 - 1); the shop's own mean without orders; no less than with
    nothing spent.
    """
    value = gammagamma_expected_value([3, 0, 3], [20, np.nan, -5], 2, 3, 10)

    assert value.tolist() == [17.5, 10.0, 2.5]


@pytest.fixture(scope="module")
def cdnow():
    """
    The sample of the papers: repeats, recency, age in weeks, and the mean repeat purchase (NaN without one).
    """
    if not CDNOW.exists():
        pytest.skip("../shared/data/cdnow_sample.parquet is absent")
    with duckdb.connect() as connection:
        found = connection.execute(
            """
            with days as (
                select sample_id, cast(date as date) as day, sum(amount) as value
                from read_parquet(?) where date < '1997-10-01' group by all
            ),
            ranked as (select *, row_number() over (partition by sample_id order by day) > 1 as again
                from days)
            select
                count(*) - 1.0 as x,
                date_diff('day', min(day), max(day)) / 7.0E0 as t_x,
                date_diff('day', min(day), date '1997-09-30') / 7.0E0 as age,
                coalesce(avg(value) filter (again), 'nan') as mean_value
            from ranked group by sample_id order by sample_id
            """,
            [str(CDNOW)],
        ).fetchnumpy()
    return tuple(np.asarray(column, dtype=float) for column in found.values())


def test_fits_are_the_published_ones(cdnow):
    """
    BG/NBD and Pareto/NBD on all 2,357 customers, Gamma-Gamma on the 946 who came back, to the digits
    published.
    """
    x, t_x, age, mean = cdnow
    paid = mean > 0

    bgnbd, paretonbd = fit_bgnbd(x, t_x, age), fit_paretonbd(x, t_x, age)
    gammagamma = fit_gammagamma(x[paid], mean[paid])

    assert (x.size, paid.sum()) == (2357, 946)
    assert list(bgnbd.parameters.values()) == pytest.approx(BGNBD, abs=6e-4)
    assert bgnbd.log_likelihood == pytest.approx(-9582.4, abs=0.05)
    assert list(paretonbd.parameters.values()) == pytest.approx(PARETONBD, abs=6e-4)
    assert paretonbd.log_likelihood == pytest.approx(-9595.0, abs=0.05)
    assert list(gammagamma.parameters.values()) == pytest.approx((6.25, 3.74, 15.44), abs=6e-3)
    assert bgnbd.converged
    assert paretonbd.converged
    assert gammagamma.converged


@pytest.mark.parametrize(
    ("simulated", "fit", "truth"),
    [
        (simulated_bgnbd, fit_bgnbd, (0.5, 6.0, 0.8, 2.5)),
        (simulated_paretonbd, fit_paretonbd, (0.8, 9.0, 0.7, 10.0)),
    ],
)
def test_fits_recover_the_truth_of_simulated_customers(simulated, fit, truth):
    """
    Within 15 % on 20,000 customers; the scatter of s and beta over seeds is about half of that.
    """
    age = 52.0
    x, t_x, _ = simulated(20_000, age, 0, *truth)

    found = fit(x, t_x, np.full(x.size, age))

    assert found.converged, found.message
    assert list(found.parameters.values()) == pytest.approx(truth, rel=0.15)


@pytest.mark.parametrize(
    ("likelihood", "rows", "values"),
    [
        (bgnbd_likelihood, some_customers(50), BGNBD),
        (paretonbd_likelihood, some_customers(50), PARETONBD),
        (paretonbd_likelihood, some_customers(50), (2.0, 30.0, 1.5, 3.0)),
        (gammagamma_likelihood, (some_customers(50)[0] + 1, some_customers(50)[2]), (6, 4, 15)),
    ],
)
def test_derivatives_match_differences(likelihood, rows, values):
    """
    Central differences of each row's log-likelihood; their own error is about 1e-9.
    """
    _, slopes = likelihood(*rows, *values)

    for position, slope in enumerate(slopes):
        step = np.zeros(len(values))
        step[position] = 1e-5 * values[position]
        up, down = (likelihood(*rows, *(np.array(values) + sign * step))[0] for sign in (1, -1))
        np.testing.assert_allclose(slope, (up - down) / (2 * step[position]), rtol=1e-5, atol=1e-7)


def test_weights_stand_for_repeated_customers():
    """
    A weight of 3 is three equal customers, bit by bit, and the order of customers does not matter.
    """
    x, t_x, age = some_customers(400)

    weighted = fit_bgnbd(x, t_x, age, np.full(400, 3.0))
    repeated = fit_bgnbd(*(np.tile(column, 3)[::-1] for column in (x, t_x, age)))

    assert weighted == repeated


def test_many_distinct_customers_are_sampled_evenly(monkeypatch):
    """
    Above the limit, the fit on evenly spaced customers is close to that on all, and counts all of them.
    """
    x, t_x, _ = simulated_bgnbd(20_000, 52.0, 0, 0.5, 6.0, 0.8, 2.5)
    full = fit_bgnbd(x, t_x, np.full(x.size, 52.0))
    monkeypatch.setattr(btyd_fitting, "MAX_GROUPS", 4_000)

    sampled = fit_bgnbd(x, t_x, np.full(x.size, 52.0))

    assert sampled.n == full.n
    assert list(sampled.parameters.values()) == pytest.approx(list(full.parameters.values()), rel=0.1)
    assert sampled.log_likelihood == pytest.approx(full.log_likelihood, rel=0.01)


@pytest.mark.parametrize("fit", [fit_bgnbd, fit_paretonbd])
def test_data_without_an_optimum_do_not_converge(fit):
    """
    Nobody came back, or hardly anybody is there: the flag is down and the message says why.
    """
    nobody = fit(np.zeros(500), np.zeros(500), np.linspace(1, 50, 500))
    few = fit(*some_customers(5))

    assert (nobody.converged, few.converged) == (False, False)
    assert "ran to its lower bound" in nobody.message
    assert "fewer than 10 customers" in few.message


@pytest.mark.parametrize(
    ("fit", "expected"),
    [(fit_bgnbd, bgnbd_expected_purchases), (fit_paretonbd, paretonbd_expected_purchases)],
)
def test_customers_who_all_are_alike_are_fitted_at_the_limit(fit, expected):
    """
    Equal rates, and nobody leaves: some parameters run to a bound, the flag stays up, and all together are
    expected to buy at the rate at which they did. 10,400 purchases make a rate known within 1 %; twice that
    is allowed.
    """
    rng = np.random.default_rng(3)
    x = rng.poisson(0.1 * 52, 2000).astype(float)
    t_x = np.where(x > 0, 52 * rng.random(2000) ** (1 / np.maximum(x, 1)), 0)
    age = np.full(2000, 52.0)

    found = fit(x, t_x, age)

    at_bound = [value for value in found.parameters.values() if not 2e-3 < value < 5e3]
    assert found.converged and at_bound
    assert expected(x, t_x, age, 26.0, *found.parameters.values()).sum() == pytest.approx(
        0.1 * 26 * 2000, rel=0.02
    )


def test_orders_of_one_value_do_not_converge():
    """
    Without spread there is no Gamma-Gamma; without any customer neither.
    """
    assert not fit_gammagamma(np.full(50, 3.0), np.full(50, 20.0)).converged
    assert not fit_gammagamma(np.empty(0), np.empty(0)).converged


def test_impossible_statistics_are_refused():
    """
    NaN must be left out by the caller.
    """
    with pytest.raises(ValueError, match="must be finite"):
        fit_bgnbd([np.nan], [0.0], [1.0])


PARAMETERS = {"bgnbd": BGNBD, "paretonbd": PARETONBD, "renewal": (3.4, 0.2, 1.0, 4.0)}
"""Of each model's functions; those of renewal take the horizon where others take the age."""


def has_horizon(name):
    """Whether a function takes a horizon after the age."""
    return "purchases" in name and "renewal" not in name


@pytest.mark.parametrize("name", FUNCTIONS)
def test_results_do_not_depend_on_the_batch(name):
    """
    Bit by bit the same for batches of 1, 7, 2,048 and all.
    """
    x, t_x, age = some_customers(5_000)
    parameters = PARAMETERS[name.split("_")[1]]
    horizon = [np.full(5_000, 26.0)] if has_horizon(name) else []
    columns = [x, t_x, age, *horizon, *(np.full(5_000, value) for value in parameters)]
    kernel = FUNCTIONS[name][0]

    whole = kernel(*columns)

    for size, rows in ((1, 200), (7, 700), (2048, 5_000)):
        parts = [kernel(*(c[first : first + size] for c in columns)) for first in range(0, rows, size)]
        assert np.concatenate(parts)[:rows].tobytes() == whole[:rows].tobytes()


def test_evaluate_takes_arrow_and_keeps_nulls():
    """
    Another engine hands over Arrow columns, chunked or not, of any number type.
    """
    parameters = [pa.array([value] * 3) for value in BGNBD]
    x = pa.chunked_array([pa.array([2, None]), pa.array([0])])

    found = evaluate(
        "clv_bgnbd_alive", x, pa.array([30.43, 1.0, 0.0]), pa.array([38.86, 2.0, 5.0]), *parameters
    )

    assert found.type == pa.float64()
    assert found.to_pylist() == [round(float(bgnbd_alive(2, 30.43, 38.86, *BGNBD)[0]), 9), None, 1.0]


LATER, UNBUILT = DATE + dt.timedelta(days=31), DATE + dt.timedelta(days=62)


@pytest.fixture
def warehouse():
    """800 customers on each of two dates, of whom the model is BG/NBD, and the empty table of parameters."""
    rng = np.random.default_rng(3)
    x, t_x, _ = simulated_bgnbd(800, 40.0, 0, 0.8, 5.0, 0.7, 2.5)
    rate = rng.gamma(4, 1 / 30, 800)
    with duckdb.connect(config={"threads": 2}) as connection:
        connection.execute(
            """
            create table customer_rfm (
                customer_id int, as_of_date date, total_purchases int, purchase_days int,
                days_since_first_purchase int, days_since_last_purchase int, total_revenue decimal(18, 2),
                typical_gap_days double, gap_log_std double
            );
            create table as_of_dates (as_of_date date, is_grid boolean, build_hash varchar);
            create table fitted_parameters (
                fitted_as_of date, build_hash varchar, name varchar, parameter_value double
            );
            """
        )
        connection.execute("insert into as_of_dates values (?, true, 'a'), (?, true, 'a')", [DATE, UNBUILT])
        rows = [
            (
                i,
                date,
                2 * (int(x[i]) + 1),  # two orders a day
                int(x[i]) + 1,
                280,
                280 - int(t_x[i] * 7),
                round(rng.gamma(6 * (x[i] + 1), 1 / rate[i]), 2),
                max(1, t_x[i] * 7 / x[i]) if x[i] else None,
                1.2 if x[i] > 1 else None,  # as gaps at random do
            )
            for date in (DATE, LATER)
            for i in range(800)
        ]
        rows += [(801, DATE, 0, 0, None, None, 0, None, None), (802, DATE, 1, 1, 10, 10, -5, None, None)]
        connection.executemany("insert into customer_rfm values (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
        yield connection


def stored(connection):
    """The table of parameters."""
    return connection.execute("from fitted_parameters order by all").fetchall()


def test_a_date_is_fitted_from_the_warehouse(warehouse):
    """
    Customers who never bought are left out; one who only gave money back has no order value but counts as a
    buyer.
    """
    parameters, _ = fit_date(warehouse, DATE)

    x, t_x, age, value = warehouse.execute(
        """
        select
            list(purchase_days - 1.0 order by customer_id),
            list((days_since_first_purchase - days_since_last_purchase) / 7.0E0 order by customer_id),
            list(days_since_first_purchase / 7.0E0 order by customer_id),
            list(total_revenue / purchase_days order by customer_id)
        from customer_rfm where as_of_date = ? and total_purchases > 0
        """,
        [DATE],
    ).fetchall()[0]
    bgnbd, orders = fit_bgnbd(x, t_x, age), fit_gammagamma(np.array(x[:-1]) + 1, value[:-1])
    for fit in (bgnbd, orders):
        found = [parameters[f"{fit.name}_{name}"] for name in fit.parameters]
        assert found == pytest.approx(list(fit.parameters.values()), rel=1e-6)


def test_missing_dates_are_written_once(warehouse):
    """
    A second run writes nothing, another date is added, a date without customers waits, an off-grid date is
    left out.
    """
    warehouse.execute("insert into as_of_dates values (?, false, 'a')", [LATER])

    first = fit_missing_dates(warehouse)
    after = stored(warehouse)
    again = fit_missing_dates(warehouse)
    warehouse.execute("update as_of_dates set is_grid = true where as_of_date = ?", [LATER])
    second = fit_missing_dates(warehouse)

    assert (first, again, second) == ([DATE], [], [LATER])
    assert (DATE, "a", "btyd_customers", 801.0) in after
    assert [row for row in stored(warehouse) if row[0] == DATE] == after


def test_changed_features_are_fitted_again(warehouse):
    """
    A date whose hash is another one is fitted anew, and the old parameters go.
    """
    fit_missing_dates(warehouse)
    warehouse.execute("update as_of_dates set build_hash = 'b' where as_of_date = ?", [DATE])

    written = fit_missing_dates(warehouse)

    assert written == [DATE]
    assert {row[1] for row in stored(warehouse)} == {"b"}


def test_a_failed_write_leaves_nothing_behind(warehouse):
    """
    The rows of a date are there together or not at all.
    """
    warehouse.execute("drop table fitted_parameters")
    warehouse.execute(
        "create table fitted_parameters "
        "(fitted_as_of date, build_hash varchar, name varchar check (name < 'p'), parameter_value double)"
    )

    with pytest.raises(duckdb.ConstraintException):
        fit_missing_dates(warehouse)

    assert stored(warehouse) == []


def test_sql_functions_give_the_rounded_values(warehouse):
    """
    One value a customer, NULL where no parameters are.
    """
    register_functions(warehouse)

    for name, (kernel, _) in FUNCTIONS.items():
        parameters = PARAMETERS[name.split("_")[1]]
        horizon = "26.0E0, " if has_horizon(name) else ""
        listed = ", ".join(f"{value}E0" for value in parameters)
        found = warehouse.execute(
            f"""
            select 3.0E0 as x, i / 100.0E0 as t_x, 40.0E0 as age, {name}(x, t_x, age, {horizon}{listed})
                as value,
                {name}(x, t_x, age, {horizon}{listed.replace(listed.split(", ")[-1], "NULL")}) as unknown
            from range(4000) as rows (i) order by i
            """
        ).fetchnumpy()
        known = kernel(3.0, np.arange(4000) / 100, 40.0, *([26.0] if horizon else []), *parameters)
        assert np.round(known, 9).tobytes() == np.asarray(found["value"]).tobytes()
        assert np.ma.getmaskarray(found["unknown"]).all()
