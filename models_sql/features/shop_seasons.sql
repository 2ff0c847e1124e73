-- Grain: one row per as_of_date: what the shop's own repeat revenue of the last year says about the
-- season ahead, and how far that year can be trusted for it. NULL before there is a year of history and
-- four weeks to compare it with.
with
    dates as (select * from {{ ref("as_of_dates") }} where {{ is_wanted("as_of_date") }}),

    orders as (select * from {{ ref("int_orders_as_of") }} where {{ is_wanted("as_of_date") }}),

    purchases as (select * from {{ ref("customer_rfm") }} where {{ is_wanted("as_of_date") }}),

    -- up to a quarter, at both ends of the last year, so that the same season is compared with itself
    spans as (
        select as_of_date, build_hash, least({{ season_span_days() }}, shop_age_days - 365) as span_days
        from dates
        where shop_age_days >= 365 + {{ least_season_span_days() }}
    ),

    per_customer as (
        select
            orders.as_of_date,
            orders.customer_id,
            max(
                case
                    when {{ in_span("orders.ordered_at", "orders.as_of_date", "spans.span_days") }}
                    then 1
                    else 0
                end
            ) as is_recent,
            max(
                case
                    when
                        {{ in_span("orders.ordered_at", "orders.as_of_date", "spans.span_days", days_ago=365) }}
                    then 1
                    else 0
                end
            ) as is_year_ago,
            sum(
                case
                    when
                        orders.ordered_at > purchases.first_purchase_at
                        and {{ in_lookback("orders.ordered_at", "orders.as_of_date", 365) }}
                    then orders.order_value
                    else 0
                end
            ) as repeat_revenue_365d,
            sum(
                case
                    when
                        orders.ordered_at > purchases.first_purchase_at
                        and {{ in_horizon_last_year("orders.ordered_at", "orders.as_of_date") }}
                    then orders.order_value
                    else 0
                end
            ) as repeat_revenue_horizon_last_year
        from orders
        inner join spans on spans.as_of_date = orders.as_of_date
        inner join
            purchases
            on purchases.customer_id = orders.customer_id
            and purchases.as_of_date = orders.as_of_date
        group by orders.as_of_date, orders.customer_id
    ),

    summed as (
        select
            as_of_date,
            sum(is_recent) as buyers_recent,
            sum(is_year_ago) as buyers_year_ago,
            sum(repeat_revenue_365d) as repeat_revenue_365d,
            sum(repeat_revenue_horizon_last_year) as repeat_revenue_horizon_last_year
        from per_customer
        group by as_of_date
    ),

    compared as (
        select
            summed.*,
            round(ln({{ ratio("nullif(buyers_recent, 0)", "buyers_year_ago") }}), 9) as log_growth,
            {% if setting("horizon_days") < 365 -%}
                round(
                    ln(
                        {{ ratio("nullif(greatest(repeat_revenue_horizon_last_year, 0), 0)", "nullif(greatest(repeat_revenue_365d, 0), 0)") }}
                        * (365.0e0 / {{ setting("horizon_days") }})
                    ),
                    9
                )
            {%- else -%} cast(null as double)
            {%- endif %} as log_share
        from summed
    )

select
    spans.as_of_date,
    cast(spans.span_days as int) as span_days,
    cast(coalesce(compared.buyers_recent, 0) as bigint) as buyers_recent,
    cast(coalesce(compared.buyers_year_ago, 0) as bigint) as buyers_year_ago,
    cast(coalesce(compared.repeat_revenue_365d, 0) as decimal(18, 2)) as repeat_revenue_365d,
    cast(
        coalesce(compared.repeat_revenue_horizon_last_year, 0) as decimal(18, 2)
    ) as repeat_revenue_horizon_last_year,
    compared.log_growth,
    -- the window lies half a year less half a horizon before the middle of its year: growth in between is
    -- not season
    round(
        compared.log_share
        + {{ within_growth("compared.log_growth") }} * (0.5e0 - {{ setting("horizon_days") }} / 730.0e0),
        9
    ) as log_season,
    round(exp(- abs(compared.log_growth)), 9) as steadiness,
    spans.build_hash
from spans
left join compared on compared.as_of_date = spans.as_of_date
