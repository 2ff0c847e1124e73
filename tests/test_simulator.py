"""The simulated shop keeps its own rules, and its truth is the mean of what it does."""

from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from scipy.special import hyp2f1
from simulated_truth import History, posterior, posterior_order_value, true_expected_value, write_truth

from clv_ml.errors import SettingsError
from clv_ml.simulate.simulated_feed import DIRT, fx_rates_of
from clv_ml.simulate.simulated_shop import Shop, clock_of
from clv_ml.simulate.simulator import tables_of, write_simulation
from clv_ml.warehouse.input_contract import contract

SHOP = Shop(customers=1500, dirt_share=0.0)

# GBP that each final customer brought in a year, as the label counts it, from nothing but the feed's text.
ACTUAL = """
    with recursive
        chain as (
            select old_customer_id as id, new_customer_id as final from merges
            union all
            select chain.id, merges.new_customer_id from chain join merges
                on merges.old_customer_id = chain.final
        ),
        final_ids as (
            select id, final from chain where final not in (select old_customer_id from merges)
        ),
        money as (
            select
                order_id,
                coalesce(final, customer_id) as customer_id,
                event_type,
                occurred_at::timestamp as occurred_at,
                amount::double * coalesce(rate_to_reporting::double, 1) as pounds,
                sum(amount::decimal(18, 2)) over (partition by order_id) = 0 as cancelled,
                max(occurred_at::timestamp) over (partition by order_id) as settled_at
            from events
            left join final_ids on final_ids.id = events.customer_id
            asof left join rates
                on rates.currency = events.currency
                and rates.valid_from::timestamp <= events.occurred_at::timestamp
            where amount is not null
        )
    select
        customer_id,
        sum(pounds) filter (not (cancelled and (event_type = 'refund' or settled_at < $end))) as pounds,
        count(distinct order_id) filter (event_type = 'purchase') as orders
    from money
    where occurred_at >= $begin and occurred_at < $end
    group by customer_id
"""


@dataclass(frozen=True)
class Simulation:
    """The three input tables of a simulated shop; every column is a string, as in a feed."""

    events: pa.Table
    id_history: pa.Table
    fx_rates: pa.Table


def simulate(shop: Shop) -> Simulation:
    """The shop's tables in memory, about 0.3 GB a million events."""
    events, merges = zip(*tables_of(shop), strict=True)
    return Simulation(pa.concat_tables(events), pa.concat_tables(merges), fx_rates_of(shop))


@pytest.fixture(scope="module")
def clean() -> Simulation:
    """A small shop without dirt."""
    return simulate(SHOP)


def query(simulation: Simulation, sql: str, **parameters: object) -> pa.Table:
    """Run SQL over the tables events, merges and rates."""
    with duckdb.connect() as connection:
        connection.register("events", simulation.events)
        connection.register("merges", simulation.id_history)
        connection.register("rates", simulation.fx_rates)
        return connection.sql(sql, params=parameters or None).to_arrow_table()


def rows(simulation: Simulation, sql: str) -> list[dict[str, object]]:
    """The rows of a query, as dicts."""
    return query(simulation, sql).to_pylist()


@pytest.mark.parametrize("table", ["events", "id_history", "fx_rates"])
def test_tables_hold_the_input_contracts_columns_as_text(clean: Simulation, table: str) -> None:
    """Names and order are those that a feed may fill; every column is text."""
    schema = getattr(clean, table).schema

    assert tuple(schema.names) == contract()[table]
    assert set(schema.types) == {pa.string()}


def test_the_same_shop_gives_the_same_tables() -> None:
    """Two runs agree in every cell; another seed does not."""
    shop = Shop(customers=200)

    assert simulate(shop) == simulate(shop)
    assert simulate(shop) != simulate(replace(shop, seed=8))


def test_a_chunk_is_the_same_in_a_bigger_shop(clean: Simulation) -> None:
    """The first thousand customers do the same whether or not others follow."""
    alone = simulate(replace(SHOP, customers=1000)).events

    assert clean.events.slice(0, alone.num_rows) == alone


def test_files_hold_the_tables_and_nothing_else_is_left(tmp_path: Path) -> None:
    """Writing by chunk gives the rows of the tables; no partial file stays behind."""
    shop = Shop(customers=1100, browsing=False)
    expected = simulate(shop)

    paths = write_simulation(shop, tmp_path)

    assert {name: pq.read_table(path) for name, path in paths.items()} == vars(expected)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "events.parquet",
        "fx_rates.parquet",
        "id_history.parquet",
    ]


def test_without_browsing_the_orders_stay_the_same(clean: Simulation) -> None:
    """Browsing has its own random streams, so switching it off only removes rows."""
    money = "select * exclude (event_id, session_id) from events where amount is not null order by all"

    bare = simulate(replace(SHOP, browsing=False))

    assert query(bare, money) == query(clean, money)
    assert bare.events["session_id"].null_count == bare.events.num_rows


def test_dirt_is_added_in_the_share_asked_for(clean: Simulation) -> None:
    """Every kind of dirt occurs, and what is left without it is the clean shop, doubles included."""
    dirty = simulate(replace(SHOP, dirt_share=0.05))
    copies = pc.or_kleene(
        pc.is_null(dirty.events["event_id"]), pc.match_substring(dirty.events["event_id"], "-")
    )
    broken = dirty.events.filter(pc.fill_null(copies, True))
    kept = dirty.events.filter(pc.fill_null(pc.invert(copies), False))

    added = dirty.events.num_rows - clean.events.num_rows

    # Each chunk rounds its number of dirty rows up or down.
    assert added == pytest.approx(0.05 * clean.events.num_rows, abs=SHOP.chunks)
    assert broken.num_rows == pytest.approx(added * len(DIRT) / (len(DIRT) + 1), abs=2 * SHOP.chunks)
    assert query(replace(clean, events=kept), "select distinct * from events order by all") == query(
        clean, "select * from events order by all"
    )
    for column, value in DIRT.values():
        assert pc.any(pc.equal(broken[column], value) if value else pc.is_null(broken[column])).as_py()


def test_a_shop_without_dirt_has_only_valid_rows(clean: Simulation) -> None:
    """Ids are unique and present, times and amounts parse, and nothing lies beyond the shop's end."""
    faults = """
        select count(*) as faults from events
        where event_id is null or customer_id is null or occurred_at::timestamp < '2022-01-01'
        or recorded_at::timestamp < occurred_at::timestamp or recorded_at::timestamp >= '2025-01-01'
        or (event_type in ('purchase', 'refund')) != (order_id is not null)
        or (order_id is null) != (amount is null) or (order_id is null) != (currency is null)
        or (event_type = 'purchase' and amount::decimal(18, 2) <= 0)
        or (event_type = 'refund' and amount::decimal(18, 2) >= 0)
    """

    assert rows(clean, faults) == [{"faults": 0}]
    assert pc.count_distinct(clean.events["event_id"]).as_py() == clean.events.num_rows


def test_lines_of_an_order_share_its_time_and_currency(clean: Simulation) -> None:
    """An order is one moment, one customer id, one session and one currency; many have several lines."""
    orders = """
        select count(*) as n, count(distinct (occurred_at, recorded_at, customer_id, session_id,
            currency)) as moments
        from events where event_type = 'purchase' group by order_id
    """

    result = query(clean, orders)

    assert set(result["moments"].to_pylist()) == {1}
    # One line and a Poisson number more: 1.8 on average, within four standard errors.
    assert pc.mean(result["n"]).as_py() == pytest.approx(1.8, abs=4 * (0.8 / result.num_rows) ** 0.5)


def test_refunds_come_later_and_net_at_most_to_zero(clean: Simulation) -> None:
    """
    A cancellation takes back the whole order to the cent, a partial refund less; both after the sale is
    known.
    """
    refunds = """
        select
            sum(amount::decimal(18, 2)) as net,
            max(recorded_at) filter (event_type = 'purchase') <= min(recorded_at)
                filter (event_type = 'refund')
            and max(occurred_at) filter (event_type = 'purchase') < min(occurred_at)
                filter (event_type = 'refund')
                as later
        from events where order_id is not null group by order_id having count_if(event_type = 'refund') > 0
    """
    orders = rows(clean, "select count(distinct order_id) as n from events where order_id is not null")[0][
        "n"
    ]

    result = query(clean, refunds)
    cancelled = pc.sum(pc.equal(result["net"], 0)).as_py()

    assert set(result["later"].to_pylist()) == {True}
    assert pc.min(result["net"]).as_py() == 0
    # Binomial shares, four standard errors; the orders of the last days still wait for their refund.
    assert cancelled / orders == pytest.approx(SHOP.cancel_share, abs=4 * (0.03 / orders) ** 0.5)
    assert (result.num_rows - cancelled) / orders == pytest.approx(
        0.06, abs=0.002 + 4 * (0.06 / orders) ** 0.5
    )


def test_merge_chains_end_and_split_events_at_the_merge(clean: Simulation) -> None:
    """Each old id has one successor, chains end at a final id, and ids change exactly at merged_at."""
    merges = clean.id_history.to_pylist()
    successors = {merge["old_customer_id"]: merge["new_customer_id"] for merge in merges}
    wrong_side = """
        select count(*) as faults from events join merges
        on (events.customer_id = old_customer_id and occurred_at >= merged_at)
        or (events.customer_id = new_customer_id and occurred_at < merged_at)
    """

    finals = {successors.get(successors.get(old, old), old) for old in successors if old.endswith("-1")}
    finals |= {successors[old] for old in successors if old.endswith("-2")}

    assert len(successors) == len(merges)
    assert any(new in successors for new in successors.values())
    assert finals and all(final.startswith("c") for final in finals)
    assert rows(clean, wrong_side) == [{"faults": 0}]


def test_some_records_arrive_late(clean: Simulation) -> None:
    """About the asked share of events is recorded between an hour and three weeks late."""
    delays = "select datediff('second', occurred_at::timestamp, recorded_at::timestamp) as delay from events"

    late = query(clean, f"from ({delays}) where delay > 0")["delay"].to_numpy()

    # Whole sessions are late together, so the share scatters more than that of single rows.
    assert late.size / clean.events.num_rows == pytest.approx(SHOP.late_share, rel=0.15)
    assert late.min() >= 3600 and late.max() <= 21 * 86_400


def test_every_foreign_amount_has_a_rate(clean: Simulation) -> None:
    """Each month of the shop has a rate of each foreign currency that occurs."""
    missing = """
        select count(*) as faults from events
        where currency != 'GBP' and not exists (
            from rates where rates.currency = events.currency
            and date_trunc('month', occurred_at::timestamp) = valid_from::timestamp
        )
    """

    assert rows(clean, missing) == [{"faults": 0}]
    assert set(clean.events["currency"].unique().drop_null().to_pylist()) == {"GBP", "EUR", "USD"}


def test_buyers_look_more_than_others(clean: Simulation) -> None:
    """Sessions without an order go with orders: the correlation of their logs is clearly positive."""
    per_customer = """
        select
            log(1 + count(distinct order_id)) as orders,
            log(1 + count(distinct session_id) - count(distinct order_id)
                filter (event_type = 'purchase')) as idle
        from events where customer_id like 'c%' group by customer_id
    """

    result = query(clean, per_customer)

    assert np.corrcoef(result["orders"].to_numpy(), result["idle"].to_numpy())[0, 1] > 0.3


def test_rows_grow_with_customers(clean: Simulation) -> None:
    """Rows a customer do not depend on how many customers there are (heavy tails: within 20 %)."""
    bigger = simulate(replace(SHOP, customers=4000, seed=3))

    assert bigger.events.num_rows / 4000 == pytest.approx(clean.events.num_rows / 1500, rel=0.2)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"refund_share": 0.6, "cancel_share": 0.3, "cancel_days": 40.0, "refund_days": 60.0},
        {"browsing": True},
    ],
    ids=["default", "many slow refunds", "browsing"],
)
def test_expected_value_is_the_mean_of_what_happens(changes: dict[str, float | bool]) -> None:
    """
    Over thousands of customers, actual and expected totals agree within four standard errors.

    The errors are measured on the customers themselves, who are independent; about 2 % of the total. Late
    records are off: truth forgives them, a label does not. `end` leaves a year in which refunds can still
    show up.
    """
    shop = replace(Shop(customers=6000, seed=5, dirt_share=0, late_share=0, browsing=False), **changes)
    truth = true_expected_value(shop, date(2023, 6, 1), 365)

    actual = query(simulate(shop), ACTUAL, begin=date(2023, 6, 1), end=date(2024, 5, 31))
    both = truth.join(actual, "customer_id").to_pandas().fillna(0)

    for expected, happened in [
        ("expected_value", "pounds"),
        ("posterior_expected_value", "pounds"),
        ("expected_purchases", "orders"),
        ("posterior_expected_purchases", "orders"),
        ("posterior_alive_probability", "alive_probability_given_latents"),
    ]:
        known = both[both["posterior_alive_probability"] > 0]
        errors = known[happened] - known[expected]
        assert abs(errors.sum()) < 4 * errors.std() * len(errors) ** 0.5, expected


def test_refunds_of_earlier_orders_are_expected() -> None:
    """Customers who dropped out bring only refunds, on average those expected (four standard errors)."""
    shop = Shop(
        customers=6000, dirt_share=0, late_share=0, browsing=False, refund_share=0.9, refund_days=60.0
    )
    actual = query(simulate(shop), ACTUAL, begin=date(2023, 6, 1), end=date(2023, 8, 30))
    both = true_expected_value(shop, date(2023, 6, 1), 90).join(actual, "customer_id").to_pandas().fillna(0)

    gone = both[both["alive_probability_given_latents"] == 0]
    errors = gone["pounds"] - gone["expected_value"]

    assert gone["expected_value"].sum() < -500
    assert abs(errors.sum()) < 4 * errors.std() * len(errors) ** 0.5


def test_who_knows_more_errs_less() -> None:
    """
    Squared error falls from a constant to the history's forecast to the latent one, and with browsing known.
    """
    shop = Shop(customers=4000, seed=5, dirt_share=0, late_share=0)
    actual = query(simulate(shop), ACTUAL, begin=date(2023, 6, 1), end=date(2024, 5, 31))

    both = true_expected_value(shop, date(2023, 6, 1), 365).join(actual, "customer_id").to_pandas().fillna(0)
    errors = [
        ((both["pounds"] - forecast) ** 2).mean()
        for forecast in (both["expected_value"], both["posterior_expected_value"], both["pounds"].mean())
    ]

    assert errors == sorted(errors)


def test_chance_of_being_alive_matches_the_closed_form() -> None:
    """
    Without seasons and browsing, the grid meets the Pareto/NBD formula for customers of every kind.

    Source of the formula: Schmittlein, Morrison and Colombo (1987), for alpha > beta. Tolerance: 24 dropout
    times.
    """
    shop = Shop(browsing=False, season_amplitude=0, weekday_amplitude=0, hour_amplitude=0, dropout_scale=20.0)
    repeats, last = np.array([0, 1, 3, 40, 300]), np.array([0.0, 30.0, 690.0, 650.0, 699.0])
    zeros = np.zeros(5)
    history = History(repeats >= 0, repeats + 1, zeros, zeros.astype(int), zeros, last, zeros)

    chance, _ = posterior(shop, clock_of(shop, shop.days), history, 700)

    r, alpha, s, beta = shop.purchase_shape, shop.purchase_scale, shop.dropout_shape, shop.dropout_scale
    power = r + s + repeats

    def term(until: np.ndarray) -> np.ndarray:
        function = hyp2f1(power, s + 1, power + 1, (alpha - beta) / (alpha + until))
        grown = ((alpha + 700) / (alpha + until)) ** (r + repeats) * ((beta + 700) / (alpha + until)) ** s
        return function * grown

    expected = 1 / (1 + s / power * (term(last) - term(np.full(5, 700.0))))
    assert chance == pytest.approx(expected, abs=1e-5)


def test_posterior_order_value_matches_the_integral() -> None:
    """
    The conjugate mean agrees with Bayes's rule summed over a fine grid of nu, for no order, one and five.
    """
    shop = Shop()
    orders, pounds, zeros = np.array([0, 1, 5]), np.array([0.0, 20.0, 900.0]), np.zeros(3)
    history = History(orders >= 0, orders, pounds, orders, zeros, zeros, zeros)

    values = posterior_order_value(shop, history)

    nu = np.linspace(1e-6, 2, 200_000)
    prior = nu ** (shop.spend_tail - 1) * np.exp(-nu * shop.spend_scale)
    likelihood = nu ** (shop.spend_shape * orders[:, np.newaxis]) * np.exp(-np.outer(pounds, nu))
    expected = (prior * likelihood * shop.spend_shape / nu).sum(axis=1) / (prior * likelihood).sum(axis=1)
    assert values == pytest.approx(expected, rel=1e-6)


def test_truth_is_written_as_computed(tmp_path: Path) -> None:
    """truth.parquet holds the table, one row for each customer seen so far."""
    shop = Shop(customers=300)

    path = write_truth(shop, tmp_path / "new", date(2024, 1, 1), 90)

    written = pq.read_table(path)
    assert written == true_expected_value(shop, date(2024, 1, 1), 90)
    assert pc.count_distinct(written["customer_id"]).as_py() == written.num_rows < 300


@pytest.mark.parametrize("size", [1, 2, 7])
def test_tiny_shops_work(size: int) -> None:
    """A shop of a few customers has tables and truth like any other."""
    shop = Shop(customers=size, dirt_share=0.5, start=date(2024, 6, 1))

    assert simulate(shop).events.schema == simulate(SHOP).events.schema
    assert true_expected_value(shop, shop.end, 30).num_rows <= size


def test_a_shop_that_cannot_be_is_refused_by_name() -> None:
    """The message names the value at fault."""
    with pytest.raises(SettingsError, match="dirt_share must lie in"):
        Shop(dirt_share=1.5)
    with pytest.raises(SettingsError, match="customers must be at least 1, not 0"):
        Shop(customers=0)
    with pytest.raises(SettingsError, match="must lie before end"):
        Shop(start=date(2025, 1, 1))
    with pytest.raises(SettingsError, match="as_of_date 2025-01-02"):
        true_expected_value(Shop(), date(2025, 1, 2), 365)
    with pytest.raises(SettingsError, match="horizon_days must be at least 1"):
        true_expected_value(Shop(), date(2024, 1, 1), 0)
