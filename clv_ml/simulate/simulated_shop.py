"""
A shop whose truth is known: the latent customers, and what they do, as numbers.

A customer joins with a first order, then buys as Pareto/NBD says (Schmittlein, Morrison and Colombo 1987);
order values follow the gamma-gamma model (Fader and Hardie 2013). Seasons, weekdays and hours bend the clock:
the Poisson processes run in *business days*, which pass faster in a busy hour than in a quiet one.

Customers are drawn in chunks of a fixed size, each from its own random streams, so a chunk is the same
whoever asks for it and however many others exist.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from math import ceil, log

import numpy as np
from numpy.typing import NDArray

from clv_ml.errors import SettingsError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

CHUNK_CUSTOMERS = 1000
DAY_SECONDS = 86_400
CURRENCIES = ("GBP", "EUR", "USD")
FIRST_RATES = (1.0, 0.86, 0.79)
RATE_STEP_SD = 0.01
RATE_DECIMALS = 4
PRODUCTS_PER_CATEGORY = 40

# One number a random stream, so that switching browsing or dirt off leaves every order as it was.
LATENT_STREAM, ORDER_STREAM, BROWSING_STREAM, DIRT_STREAM, RATE_STREAM = range(5)


@dataclass(frozen=True)
class Shop:
    """
    Everything that decides a simulated shop; the same Shop gives the same bytes.

    The defaults make a mid-sized online shop: about five orders a customer and year while alive, two in five
    buyers with one order only, and a sixth of the money from the top percent of customers.

    Raises:
        SettingsError: If a value lies outside its range.
    """

    customers: int = 2000  # people, however many ids they used; at least 1
    seed: int = 7  # any integer from 0
    start: date = date(2022, 1, 1)  # first day, UTC
    end: date = date(2025, 1, 1)  # first day no longer simulated, UTC
    dirt_share: float = 0.002  # broken or doubled rows, added, per clean row; [0, 1]
    browsing: bool = True  # session_start, page_view and add_to_cart rows

    purchase_shape: float = 0.6  # r of Pareto/NBD, no unit
    purchase_scale: float = 45.0  # alpha of Pareto/NBD, business days; mean rate is r / alpha
    dropout_shape: float = 0.7  # s of Pareto/NBD, no unit
    dropout_scale: float = 250.0  # beta of Pareto/NBD, days
    never_buy_share: float = 0.1  # customers who only look; [0, 1)
    spend_shape: float = 4.0  # p of gamma-gamma, no unit
    spend_tail: float = 3.0  # q of gamma-gamma, no unit; above 2, so that the variance is finite
    spend_scale: float = 25.0  # gamma of gamma-gamma, GBP; mean order is p x gamma / (q - 1)
    extra_lines: float = 0.8  # lines of an order beyond the first, Poisson mean

    season_amplitude: float = 0.35  # of a yearly cosine that peaks on 5 December; [0, 1]
    weekday_amplitude: float = 0.25  # of a weekly cosine that peaks on Saturday; [0, 1]
    hour_amplitude: float = 0.9  # of a daily cosine that peaks at 19:00 UTC; [0, 1]

    cancel_share: float = 0.03  # orders cancelled in full
    cancel_days: float = 1.5  # mean delay of a cancellation, exponential
    refund_share: float = 0.06  # orders with a partial refund: 20 % to 80 % of the first line
    refund_days: float = 12.0  # mean delay of a partial refund, exponential

    idle_sessions_per_day: float = 0.03  # business days, at the mean purchase rate; without an order
    idle_shape: float = 2.0  # of the gamma factor (mean 1) on the above, no unit
    extra_pages: float = 3.0  # page views of a session beyond the first, Poisson mean
    abandoned_share: float = 0.25  # idle sessions that fill a cart

    categories: int = 12  # product categories
    favourite_share: float = 0.6  # lines and views in the customer's own category, beyond chance
    currency_shares: tuple[float, float, float] = (0.7, 0.2, 0.1)  # customers paying in GBP, EUR, USD
    merged_share: float = 0.08  # customers with one or two earlier ids
    late_share: float = 0.03  # orders, refunds and sessions recorded an hour to three weeks late

    def __post_init__(self) -> None:
        if self.customers < 1:
            raise SettingsError(f"customers must be at least 1, not {self.customers}. Ask for one or more.")
        if self.start >= self.end:
            raise SettingsError(f"start {self.start} must lie before end {self.end}. Move one of them.")
        if self.spend_tail <= 2:
            raise SettingsError(f"spend_tail must be above 2, not {self.spend_tail}. Raise it.")
        for name, value in vars(self).items():
            if name.endswith(("_share", "_amplitude")) and not 0 <= value <= 1:
                raise SettingsError(f"{name} must lie in [0, 1], not {value}. Give a share.")

    @property
    def days(self) -> int:
        """Simulated days."""
        return (self.end - self.start).days

    @property
    def chunks(self) -> int:
        """Number of chunks of customers; the last may be smaller."""
        return ceil(self.customers / CHUNK_CUSTOMERS)

    @property
    def mean_rate(self) -> float:
        """Mean of the purchase rate over buyers, orders per business day."""
        return self.purchase_shape / self.purchase_scale


@dataclass(frozen=True)
class Clock:
    """Business days passed since the shop's start, at each full hour; linear in between."""

    hours: Floats  # days since start
    passed: Floats  # business days since start

    def business(self, days: Floats) -> Floats:
        """Days since start -> business days since start."""
        return np.interp(days, self.hours, self.passed)

    def calendar(self, business: Floats) -> Floats:
        """Business days since start -> days since start."""
        return np.interp(business, self.passed, self.hours)


@dataclass(frozen=True)
class Latents:
    """What only the simulator knows; each array has one row a customer of the chunk."""

    joined: Floats  # days since start
    dropout_rate: Floats  # mu, per day
    dropped: Floats  # days since start; may lie beyond the end
    rate: Floats  # lambda, orders per business day; 0 for those who never buy
    idle_rate: Floats  # sessions without an order per business day
    spend_rate: Floats  # nu of gamma-gamma, per GBP
    currency: Ints  # position in CURRENCIES
    favourite: Ints  # category
    merges: Floats  # shape (n, 2), days since start of the two merges; -inf where there was none


@dataclass(frozen=True)
class Orders:
    """Orders of a chunk, one row each; then their lines, one row each, in the order of the orders."""

    owner: Ints  # customer, position in the chunk
    at: Ints  # seconds since 1970
    recorded: Ints  # seconds since 1970
    pence: Ints  # value in GBP, 1/100
    cancelled: Flags
    refunded: Flags  # in part
    refund_at: Ints  # seconds since 1970; of the cancellation or partial refund, if any
    refund_recorded: Ints  # never before the order is
    refund_part: Floats  # of the first line

    line_order: Ints  # position of the line's order
    line_cents: Ints  # in the customer's currency, 1/100
    line_product: Ints
    line_quantity: Ints
    first_line: Ints  # one row an order: position of its first line
    lines: Ints  # one row an order: how many lines


@dataclass(frozen=True)
class Chunk:
    """Chunk `number` of a shop: its customers and their orders."""

    number: int
    latents: Latents
    orders: Orders


@lru_cache(maxsize=8)
def clock_of(shop: Shop, days: int) -> Clock:
    """The clock over `days` from the start; every cosine has mean 1, so a business day is an average day."""
    hour = np.arange(days * 24)
    day = hour // 24
    day_of_year = (shop.start - date(shop.start.year, 1, 1)).days + day
    weekday = (shop.start.weekday() + day) % 7
    speed = _cosine(shop.season_amplitude, day_of_year - 338, 365.25)
    speed = speed * _cosine(shop.weekday_amplitude, weekday - 5, 7)
    speed = speed * _cosine(shop.hour_amplitude, hour % 24 - 19, 24)
    return Clock(hours=np.arange(days * 24 + 1) / 24, passed=np.concatenate([[0.0], np.cumsum(speed) / 24]))


def _cosine(amplitude: float, phase: Ints, period: float) -> Floats:
    return 1 + amplitude * np.cos(2 * np.pi * phase / period)


@lru_cache(maxsize=8)
def rates_of(shop: Shop) -> Floats:
    """GBP per unit of each currency, shape (months from the start's, currencies): a rounded random walk."""
    months = month_of(shop, np.array([epoch(shop.end)]))[0] + 1
    steps = stream(shop, 0, RATE_STREAM).normal(0, RATE_STEP_SD, (months, len(CURRENCIES)))
    steps[:, 0] = 0
    # pyrefly: ignore[bad-return]
    return np.round(np.array(FIRST_RATES) * np.exp(np.cumsum(steps, axis=0)), RATE_DECIMALS)


def month_of(shop: Shop, at: Ints) -> Ints:
    """Seconds since 1970 -> calendar months since the month of the shop's start."""
    months = at.astype("datetime64[s]").astype("datetime64[M]").astype(np.int64)
    return months - np.datetime64(shop.start, "M").astype(np.int64)


def epoch(day: date) -> int:
    """Seconds from 1970 to a day's first instant, UTC."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def seconds(shop: Shop, days: Floats) -> Ints:
    """Days since the shop's start -> whole seconds since 1970."""
    return epoch(shop.start) + np.floor(days * DAY_SECONDS).astype(np.int64)


def stream(shop: Shop, chunk: int, number: int) -> np.random.Generator:
    """One random stream of one chunk, the child that nested SeedSequence.spawn calls would give."""
    return np.random.default_rng(np.random.SeedSequence(shop.seed, spawn_key=(chunk, number)))


def draw_chunk(shop: Shop, number: int) -> Chunk:
    """Customers of a chunk and their orders."""
    size = min(CHUNK_CUSTOMERS, shop.customers - number * CHUNK_CUSTOMERS)
    latents = _draw_latents(shop, size, stream(shop, number, LATENT_STREAM))
    return Chunk(number, latents, _draw_orders(shop, latents, stream(shop, number, ORDER_STREAM)))


def _draw_latents(shop: Shop, size: int, rng: np.random.Generator) -> Latents:
    clock = clock_of(shop, shop.days)
    joined = clock.calendar(rng.random(size) * clock.passed[-1])
    # A gamma draw of a small shape can underflow to 0, which would divide by zero.
    dropout_rate = np.maximum(rng.gamma(shop.dropout_shape, 1 / shop.dropout_scale, size), 1e-12)
    buyer_rate = rng.gamma(shop.purchase_shape, 1 / shop.purchase_scale, size)
    rate = np.where(rng.random(size) < shop.never_buy_share, 0.0, buyer_rate)
    idle_factor = rng.gamma(shop.idle_shape, 1 / shop.idle_shape, size)
    return Latents(
        joined=joined,
        dropout_rate=dropout_rate,
        dropped=joined + rng.exponential(size=size) / dropout_rate,
        rate=rate,
        idle_rate=idle_sessions(shop, buyer_rate) * idle_factor,
        spend_rate=rng.gamma(shop.spend_tail, 1 / shop.spend_scale, size),
        currency=rng.choice(len(CURRENCIES), size, p=shop.currency_shares),
        favourite=rng.integers(shop.categories, size=size),
        merges=_draw_merges(shop, joined, rng),
    )


def idle_sessions(shop: Shop, rate: Floats) -> Floats:
    """Idle sessions per business day at a purchase rate: who buys more also looks more, if less than so."""
    return shop.idle_sessions_per_day * np.sqrt(rate / shop.mean_rate)


def _draw_merges(shop: Shop, joined: Floats, rng: np.random.Generator) -> Floats:
    kind = rng.random(joined.size)
    last = joined + rng.random(joined.size) * (shop.days - joined)
    first = joined + rng.random(joined.size) * (last - joined)
    merged, twice = kind < shop.merged_share, kind < shop.merged_share / 4
    return np.column_stack([np.where(twice, first, -np.inf), np.where(merged, last, -np.inf)])


def poisson_times(
    shop: Shop, latents: Latents, rate: Floats, rng: np.random.Generator
) -> tuple[Ints, Floats]:
    """
    Points of one Poisson process a customer, from joining to dropout or the shop's end, at a rate per
    business day: the owner of each, and the point in days since start, in no order within an owner.
    """
    clock = clock_of(shop, shop.days)
    begin = clock.business(latents.joined)
    length = clock.business(np.minimum(latents.dropped, shop.days)) - begin
    owner = np.repeat(np.arange(rate.size), rng.poisson(rate * length))
    return owner, clock.calendar(begin[owner] + rng.random(owner.size) * length[owner])


def recorded_at(shop: Shop, at: Ints, rng: np.random.Generator) -> Ints:
    """When each thing became known: at once, or for a share an hour to three weeks later (log-uniform)."""
    hours = np.exp(rng.uniform(0, log(3 * 7 * 24), at.size))
    late = rng.random(at.size) < shop.late_share
    return at + np.where(late, hours * 3600, 0).astype(np.int64)


def draw_products(shop: Shop, favourite: Ints, rng: np.random.Generator) -> Ints:
    """One product each: category x PRODUCTS_PER_CATEGORY + place, low places being the popular ones."""
    own = rng.random(favourite.size) < shop.favourite_share
    category = np.where(own, favourite, rng.integers(shop.categories, size=favourite.size))
    place = (PRODUCTS_PER_CATEGORY * rng.random(favourite.size) ** 2).astype(np.int64)
    return category * PRODUCTS_PER_CATEGORY + place


def _draw_orders(shop: Shop, latents: Latents, rng: np.random.Generator) -> Orders:
    buyers = np.flatnonzero(latents.rate > 0)
    repeat_owner, repeat_days = poisson_times(shop, latents, latents.rate, rng)
    owner = np.concatenate([buyers, repeat_owner])
    at = seconds(shop, np.concatenate([latents.joined[buyers], repeat_days]))
    recorded = recorded_at(shop, at, rng)
    lines = 1 + rng.poisson(shop.extra_lines, owner.size)
    pounds = rng.gamma(shop.spend_shape, size=owner.size) / latents.spend_rate[owner]
    rates = rates_of(shop)[month_of(shop, at), latents.currency[owner]]
    cents = np.maximum(np.round(pounds / rates * 100).astype(np.int64), lines)
    outcome = rng.random(owner.size)
    cancelled = outcome < shop.cancel_share
    delay = rng.exponential(size=owner.size) * np.where(cancelled, shop.cancel_days, shop.refund_days)
    refund_at = at + 1 + (delay * DAY_SECONDS).astype(np.int64)
    line_order = np.repeat(np.arange(owner.size), lines)
    return Orders(
        owner=owner,
        at=at,
        recorded=recorded,
        pence=np.round(cents * rates).astype(np.int64),
        cancelled=cancelled,
        refunded=~cancelled & (outcome < shop.cancel_share + shop.refund_share),
        refund_at=refund_at,
        refund_recorded=np.maximum(recorded_at(shop, refund_at, rng), recorded),
        refund_part=rng.uniform(0.2, 0.8, owner.size),
        line_order=line_order,
        line_cents=_split(cents, lines, rng),
        line_product=draw_products(shop, latents.favourite[owner[line_order]], rng),
        line_quantity=1 + rng.poisson(0.3, line_order.size),
        first_line=np.cumsum(lines) - lines,
        lines=lines,
    )


def _split(cents: Ints, lines: Ints, rng: np.random.Generator) -> Ints:
    """Split each total over its lines at random, at least one cent a line, nothing lost."""
    last = np.cumsum(lines) - 1
    weights = np.cumsum(rng.gamma(2.0, size=int(lines.sum())))
    before = np.repeat(np.concatenate([[0.0], weights[last[:-1]]]), lines)
    share = (weights - before) / np.repeat(np.diff(weights[last], prepend=0.0), lines)
    upto = np.round(np.repeat(cents - lines, lines) * share).astype(np.int64)
    upto[last] = cents - lines
    pieces = np.diff(upto, prepend=0)
    first = last - lines + 1
    pieces[first] = upto[first]
    return pieces + 1
