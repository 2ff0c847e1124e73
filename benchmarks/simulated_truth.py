"""
What a perfect forecast of the simulated shop would be: knowing the latent customer, or the history alone.

The value of a window counts what the label of `training_rows` counts: orders placed in it at net value (one
cancelled before the window's end counts nowhere), less partial refunds that fall in it, those of earlier
orders included. Money moves at the exchange rate of its own day; the rates have no drift, so the expectation
ignores them.

The history's forecast is Bayes's rule with the shop's own parameters as prior. The dropout rate integrates
out in closed form (the lifetime is Lomax: Fader and Hardie 2005, "A Note on Deriving the Pareto/NBD Model");
purchase rate and dropout time are integrated on a grid; the mean order value is the conjugate gamma-gamma one
(Fader and Hardie 2013).
"""

import os
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from clv_ml.errors import SettingsError
from clv_ml.simulate.simulated_feed import customer_names, draw_visits
from clv_ml.simulate.simulated_shop import (
    BROWSING_STREAM,
    DAY_SECONDS,
    Chunk,
    Clock,
    Flags,
    Floats,
    Ints,
    Orders,
    Shop,
    clock_of,
    draw_chunk,
    epoch,
    idle_sessions,
    stream,
)

TRUTH = pa.schema(
    [
        ("customer_id", pa.string()),
        ("expected_value", pa.float64()),
        ("expected_purchases", pa.float64()),
        ("alive_probability_given_latents", pa.float64()),
        ("posterior_expected_value", pa.float64()),
        ("posterior_expected_purchases", pa.float64()),
        ("posterior_alive_probability", pa.float64()),
    ]
)

# Share of its line that a partial refund takes on average: uniform between 20 % and 80 %.
_MEAN_REFUND_PART = 0.5
# 256 log-spaced rates, as multiples of the mean, and 24 dropout times meet the closed form of P(alive) within
# 1e-5.
_RATE_RANGE = (1e-6, 60.0)
_RATE_NODES = 256
_DROPOUT_NODES = 24


@dataclass(frozen=True)
class History:
    """What is known of each customer of a chunk before a date; one row a customer."""

    seen: Flags  # any event known
    orders: Ints  # known orders
    pounds: Floats  # their value in GBP, before refunds
    idle: Ints  # known sessions without an order
    first: Floats  # first known order, days since the shop's start; inf without one
    last: Floats  # last sign of life, days since the shop's start; -inf without one
    pending: Floats  # GBP expected to be refunded, in the window, of orders before it


@dataclass(frozen=True)
class Window:
    """A forecast window, cut into days; arrays have one row a day."""

    begin: int  # days since the shop's start
    middles: Floats  # middle of each day, days after `begin`
    business: Floats  # business days in it
    kept: Floats  # share of an order's value that is neither cancelled nor refunded by the window's end


def true_expected_value(shop: Shop, as_of_date: date, horizon_days: int) -> pa.Table:
    """
    Expected net revenue of each customer in [as_of_date, as_of_date + horizon_days), in GBP.

    One row a customer with any event that occurred and was recorded before `as_of_date`.

    Args:
        as_of_date: UTC midnight; after the shop's start, at most its end.

        horizon_days: At least 1; the window may reach beyond the shop's end.

    Returns:
        Schema TRUTH: `customer_id` is the final id. `expected_value` (GBP) and `expected_purchases` (orders,
        cancelled ones included) know the customer's rates and whether they are still alive;
        `alive_probability_given_latents` is therefore 1 or 0. The three `posterior_` columns know the shop's
        parameters and the customer's recorded history only: no model can do better on average. For a customer
        whose first order is known too late they are 0.

    Raises:
        SettingsError: If the date lies outside the shop's history or the horizon is below 1.
    """
    if not shop.start < as_of_date <= shop.end:
        raise SettingsError(
            f"as_of_date {as_of_date} must lie after the shop's start "
            f"{shop.start} and not after its end {shop.end}."
        )
    if horizon_days < 1:
        raise SettingsError(f"horizon_days must be at least 1, not {horizon_days}. Ask for a longer window.")

    window = _window(shop, (as_of_date - shop.start).days, horizon_days)
    return pa.concat_tables(
        [_chunk_truth(shop, draw_chunk(shop, number), window) for number in range(shop.chunks)]
    )


def write_truth(shop: Shop, folder: Path, as_of_date: date, horizon_days: int) -> Path:
    """Write :func:`true_expected_value` as truth.parquet, which appears once complete; returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder, prefix=".partial-") as partial:
        written = Path(partial, "truth.parquet")
        pq.write_table(true_expected_value(shop, as_of_date, horizon_days), written, compression="zstd")
        os.replace(written, folder / written.name)

    return folder / "truth.parquet"


def _window(shop: Shop, begin: int, horizon_days: int) -> Window:
    clock = clock_of(shop, begin + horizon_days)
    days = np.arange(horizon_days + 1)
    left = horizon_days - days[1:] + 0.5
    # pyrefly: ignore[bad-argument-type]
    cancelled = shop.cancel_share * _by_then(left, shop.cancel_days)
    refunded = (
        # pyrefly: ignore[bad-argument-type]
        shop.refund_share * _by_then(left, shop.refund_days) * _MEAN_REFUND_PART * _mean_first_line(shop)
    )

    return Window(
        begin=begin,
        # pyrefly: ignore[bad-argument-type]
        middles=days[1:] - 0.5,
        business=np.diff(clock.business((begin + days).astype(np.float64))),
        kept=1 - cancelled - refunded,
    )


def _by_then(days: Floats, mean: float) -> Floats:
    """Exponential distribution function: the share of delays over by `days`."""
    return -np.expm1(-np.maximum(days, 0) / mean)


def _mean_first_line(shop: Shop) -> float:
    """
    Expected share of an order in its first line: E[1 / (1 + N)] of a Poisson N, lines being exchangeable.
    """
    mean = shop.extra_lines
    return float(-np.expm1(-mean) / mean) if mean > 0 else 1.0


def _chunk_truth(shop: Shop, chunk: Chunk, window: Window) -> pa.Table:
    latents = chunk.latents
    history = history_of(shop, chunk, window)
    alive = latents.dropped >= window.begin
    survival = np.exp(-np.outer(latents.dropout_rate, window.middles))
    purchases, kept = _orders_ahead(np.where(alive, latents.rate, 0), survival, window)
    order_value = shop.spend_shape / latents.spend_rate

    posterior_alive, posterior_rate = posterior(shop, clock_of(shop, shop.days), history, window.begin)
    age = np.where(history.orders > 0, window.begin - history.first, 0)
    base = (shop.dropout_scale + age)[:, np.newaxis]
    survival = (base / (base + window.middles)) ** shop.dropout_shape
    posterior_purchases, posterior_kept = _orders_ahead(posterior_rate, survival, window)

    columns = [
        customer_names(chunk).take(pa.array(np.arange(chunk.latents.joined.size) * 3 + 2)),
        pa.array(kept * order_value - history.pending),
        pa.array(purchases),
        pa.array(alive.astype(np.float64)),
        pa.array(posterior_kept * posterior_order_value(shop, history) - history.pending),
        pa.array(posterior_purchases),
        pa.array(posterior_alive),
    ]
    return pa.Table.from_arrays(columns, schema=TRUTH).filter(pa.array(history.seen))


def _orders_ahead(rate: Floats, survival: Floats, window: Window) -> tuple[Floats, Floats]:
    """
    Orders expected in the window, all and weighted by the share of value kept. `survival`: customers x days.
    """
    # einsum, not @: a threaded BLAS may sum in another order on another machine.
    every = rate * np.einsum("cd,d->c", survival, window.business)
    kept = rate * np.einsum("cd,d->c", survival, window.business * window.kept)
    return every, kept


def posterior_order_value(shop: Shop, history: History) -> Floats:
    """Mean order value in GBP given n orders worth z in all: p (gamma + z) / (p n + q - 1)."""
    weight = shop.spend_shape * history.orders + shop.spend_tail - 1
    return shop.spend_shape * (shop.spend_scale + history.pounds) / weight


def history_of(shop: Shop, chunk: Chunk, window: Window) -> History:
    """What had occurred and been recorded before the window."""
    orders, size = chunk.orders, chunk.latents.joined.size
    as_of = epoch(shop.start) + window.begin * DAY_SECONDS
    known = np.maximum(orders.at, orders.recorded) < as_of
    owner, days = orders.owner[known], _days(shop, orders.at[known])

    first, last, idle = np.full(size, np.inf), np.full(size, -np.inf), np.zeros(size, np.int64)
    np.minimum.at(first, owner, days)
    np.maximum.at(last, owner, days)
    counts = np.bincount(owner, minlength=size)
    seen = counts > 0
    if shop.browsing:
        visits = draw_visits(shop, chunk, stream(shop, chunk.number, BROWSING_STREAM))
        known_visits = np.maximum(visits.start, visits.recorded) < as_of
        known_idle = known_visits & visits.idle
        np.maximum.at(last, visits.owner[known_idle], _days(shop, visits.start[known_idle]))
        idle = np.bincount(visits.owner[known_idle], minlength=size)
        seen = seen | (np.bincount(visits.owner[known_visits], minlength=size) > 0)

    return History(
        seen=seen,
        orders=counts,
        # pyrefly: ignore[bad-argument-type]
        pounds=np.bincount(owner, orders.pence[known] / 100, minlength=size),
        idle=idle,
        first=first,
        last=last,
        # pyrefly: ignore[bad-argument-type]
        pending=np.bincount(owner, _pending(shop, orders, known, as_of, window), minlength=size),
    )


def _pending(shop: Shop, orders: Orders, known: Flags, as_of: int, window: Window) -> Floats:
    """
    GBP of each known order expected back in the window: 0 where a refund or cancellation is known already.
    """
    age = (as_of - orders.at[known]) / DAY_SECONDS
    cancelled = shop.cancel_share * _by_then(age, shop.cancel_days)
    refunded = shop.refund_share * _by_then(age, shop.refund_days)
    in_window = shop.refund_share * _by_then(age + window.middles.size, shop.refund_days) - refunded
    settled = orders.cancelled[known] | orders.refunded[known]
    settled &= np.maximum(orders.refund_at, orders.refund_recorded)[known] < as_of

    line = orders.first_line[known]
    total = np.add.reduceat(orders.line_cents, orders.first_line)[known] if known.any() else np.zeros(0)
    line_pounds = orders.pence[known] / 100 * orders.line_cents[line] / np.maximum(total, 1)
    chance = np.where(settled, 0, in_window / (1 - cancelled - refunded))
    return chance * _MEAN_REFUND_PART * line_pounds


def _days(shop: Shop, at: Ints) -> Floats:
    return (at - epoch(shop.start)) / DAY_SECONDS


def posterior(shop: Shop, clock: Clock, history: History, begin: int) -> tuple[Floats, Floats]:
    """
    Chance of being alive at `begin` (days since the shop's start), and E[rate x alive], given the history.

    Up to the moment he drops out, a customer of rate L who has been watched for A business days shows x
    repeat orders with likelihood L^x exp(-L A), and n idle sessions (rate c sqrt(L / mean) times a gamma
    factor of shape k) with c'^n / (k + c' A)^(k + n), c' being the rate before the factor.

    Returns:
        Two arrays, one row a customer; 0 for a customer without a known order. The rate is in orders per
        business day.
    """
    buyer = history.orders > 0
    first = np.where(buyer, history.first, begin)
    last = np.where(buyer, np.maximum(history.last, first), begin)
    times, density = _dropout_grid(shop, first, last, begin)
    watched = clock.business(times) - clock.business(first)[:, np.newaxis]

    rates = shop.mean_rate * np.geomspace(*_RATE_RANGE, _RATE_NODES)
    log_weight = _log_likelihood(shop, history, rates, watched) + np.log(density)[:, :, np.newaxis]
    # The prior's density times the step of a log-spaced grid: one more power of the rate.
    log_weight += shop.purchase_shape * np.log(rates) - shop.purchase_scale * rates
    # The prior's mass below the grid, where the likelihood is flat, is an integral of rate^(r - 1).
    log_weight[:, :, 0] += np.log(0.5 + 1 / (shop.purchase_shape * np.log(rates[1] / rates[0])))
    weight = np.exp(log_weight - log_weight.max(axis=(1, 2), keepdims=True))

    total = weight.sum(axis=(1, 2))
    alive = weight[:, -1, :]
    chance = alive.sum(axis=1) / total
    rate = (alive * rates).sum(axis=1) / total
    return np.where(buyer, chance, 0), np.where(buyer, rate, 0)


def _dropout_grid(shop: Shop, first: Floats, last: Floats, begin: int) -> tuple[Floats, Floats]:
    """
    Dropout times between the last sign of life and `begin`, then `begin` itself for those still alive.

    Returns:
        Times and prior weights (Lomax density times step; the last column its survival), customers x nodes.
        The nodes crowd behind the last sign of life, where the likelihood of a frequent buyer falls steeply.
    """
    nodes, steps = np.polynomial.legendre.leggauss(_DROPOUT_NODES)
    place, step = ((nodes + 1) / 2) ** 3, 1.5 * ((nodes + 1) / 2) ** 2 * steps
    span = (begin - last)[:, np.newaxis]
    times = last[:, np.newaxis] + span * place
    shape, scale = shop.dropout_shape, shop.dropout_scale
    lifetime = times - first[:, np.newaxis]
    density = shape * scale**shape / (scale + lifetime) ** (shape + 1) * span * step
    survival = (scale / (scale + begin - first)) ** shape

    times = np.column_stack([times, np.full(first.size, float(begin))])
    # A span of 0 leaves no chance of having dropped out, and log(0) would warn.
    return times, np.column_stack([np.maximum(density, 1e-300), survival])


def _log_likelihood(shop: Shop, history: History, rates: Floats, watched: Floats) -> Floats:
    """Log-likelihood of repeat orders and idle sessions: customers x dropout times x rates."""
    repeats = np.maximum(history.orders - 1, 0)[:, np.newaxis, np.newaxis]
    watched = watched[:, :, np.newaxis]
    likelihood = repeats * np.log(rates) - rates * watched
    if shop.browsing:
        idle = history.idle[:, np.newaxis, np.newaxis]
        idle_rates = idle_sessions(shop, rates)
        likelihood += idle * np.log(idle_rates)
        likelihood -= (shop.idle_shape + idle) * np.log(shop.idle_shape + idle_rates * watched)
    return likelihood
