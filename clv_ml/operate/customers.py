"""One customer: the expected value, how sure that is, and why, in words and as a picture."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from clv_ml.errors import InputError
from clv_ml.serve.narrative import OTHERS, read_language
from clv_ml.settings import Settings
from clv_ml.warehouse.connection import connect
from clv_ml.warehouse.queries import ask


@dataclass(frozen=True)
class Driver:
    """
    A fact about the customer: what it is called, its column (None for all others together), what it was in
    words and as a number (None where missing), and what it adds or takes.
    """

    name: str
    column: str | None
    phrase: str
    value: float | None
    contribution: float


@dataclass(frozen=True)
class HorizonValue:
    """What is expected of a customer within ``horizon_days``: money, and the chance of an order if known."""

    horizon_days: int
    expected_revenue: Decimal
    order_probability: float | None


@dataclass(frozen=True)
class CustomerExplanation:
    """
    A row of ``customer_clv`` with its narrative; money in ``currency``, shares and chances from 0 to 1.

    Interval, confidence and ``base`` are None, and ``drivers`` is empty, where no model scored the customer.
    Otherwise ``base`` plus the contributions of ``drivers``, strongest first, is the prediction. ``horizons``
    has a value per horizon, the shortest first.
    """

    customer_id: str
    as_of_date: date
    narrative: str
    value_level: str
    currency: str
    clv_estimate: Decimal
    clv_method: str
    clv_low: float | None
    clv_high: float | None
    certainty: str | None
    clv_prediction_confidence: float | None
    churn_probability: float | None
    clv_model_version: str | None
    base: float | None
    drivers: tuple[Driver, ...]
    horizons: tuple[HorizonValue, ...]

    @property
    def positive(self) -> tuple[Driver, ...]:
        """The drivers that raise the prediction, strongest first."""
        return tuple(driver for driver in self.drivers if driver.contribution > 0 and driver.name != OTHERS)

    @property
    def negative(self) -> tuple[Driver, ...]:
        """The drivers that hold it back, strongest first."""
        return tuple(driver for driver in self.drivers if driver.contribution < 0 and driver.name != OTHERS)


def explain_customer(settings: Settings, customer_id: str) -> CustomerExplanation:
    """
    A customer by the number that they have or had: merged numbers are followed.

    Raises:
        InputError: If nobody has or had that number.
        WarehouseError: If the warehouse has not been built.
    """
    with connect(settings) as connection:
        found = ask(connection, "customer", {"customer": customer_id})
        if not found:
            raise InputError(
                f"There is no customer {customer_id!r} in customer_clv. Numbers are text and must match in "
                "full, leading zeros and capitals included."
            )
        row = found[0]
        drivers = ask(connection, "drivers_of_customer", {"customer": row["customer_id"]})
        horizons = ask(connection, "horizons_of_customer", {"customer": row["customer_id"]})
        (profile,) = ask(connection, "profile_of_customer", {"customer": row["customer_id"]})
    # the model's own currency: it may have been given for a single run
    currency = row.pop("reporting_currency") or settings.vars.reporting_currency
    language = read_language(currency, settings.project)
    return CustomerExplanation(
        currency=language.currency,
        base=row.pop("driver_base"),
        drivers=tuple(
            Driver(name, column, language.phrase(column or name, value, profile), value, contribution)
            for name, column, value, contribution in (tuple(driver.values()) for driver in drivers)
        ),
        horizons=tuple(HorizonValue(**values) for values in horizons),
        **row,
    )
