-- Grain: as_of_date x horizon_days: how busy the shop's own last year was in the days that each horizon
-- adds to the next shorter one, against its mean day, growth taken out. It counts as far as the year
-- can be trusted for a season (steadiness of shop_seasons): 1 is an ordinary day, as are days beyond a
-- year. And what money of those days is worth on the date.
{{ config(materialized="view") }}

with
    dates as (select * from {{ ref("as_of_dates") }}),

    seasons as (select * from {{ ref("shop_seasons") }}),

    orders as (select * from {{ ref("int_orders_as_of") }}),

    purchases as (select * from {{ ref("customer_rfm") }}),

    repeats as (
        select
            orders.as_of_date,
            {{ days_between("orders.ordered_at", "orders.as_of_date") }} as days_ago,
            orders.order_value
        from orders
        inner join
            purchases
            on purchases.customer_id = orders.customer_id
            and purchases.as_of_date = orders.as_of_date
        where
            orders.ordered_at > purchases.first_purchase_at
            and {{ in_lookback("orders.ordered_at", "orders.as_of_date", 365) }}
    ),

    summed as (
        select
            as_of_date,
            sum(order_value) as revenue_365d
            {%- for piece in horizon_pieces() %}
                ,
                sum(
                    case
                        when {{ 365 - piece.to_days }} <= days_ago and days_ago < {{ 365 - piece.from_days }}
                        then order_value
                        else 0
                    end
                ) as revenue_until_{{ piece.to_days }}d
            {%- endfor %}
        from repeats
        group by as_of_date
    ),

    pieces as (
        {% for piece in horizon_pieces() -%}
            select
                dates.as_of_date,
                cast({{ piece.to_days }} as int) as horizon_days,
                {{ piece.to_days - piece.from_days }}.0e0 as days_added,
                {{ piece.from_days + piece.to_days }}.0e0 as days_twice,
                {{ discount_factor((piece.from_days + piece.to_days) / 2) }} as present_worth,
                {{ days_share(piece.to_days) }} as days_share,
                {{ "summed.revenue_until_" ~ piece.to_days ~ "d" if piece.to_days <= 365 else "null" }}
                as revenue,
                summed.revenue_365d
            from dates
            left join summed on summed.as_of_date = dates.as_of_date {{ "union all" if not loop.last }}
        {% endfor %}
    ),

    compared as (
        select
            pieces.as_of_date,
            pieces.horizon_days,
            pieces.present_worth,
            pieces.days_share,
            seasons.steadiness,
            round(
                ln(
                    {{ ratio("greatest(pieces.revenue, 0.01)", "pieces.days_added") }}
                    / nullif({{ ratio("greatest(pieces.revenue_365d, 0)", "365") }}, 0.0e0)
                ),
                9
            )
            + {{ within_growth("seasons.log_growth") }}
            * (365.0e0 - pieces.days_twice)
            / 730.0e0 as log_season
        from pieces
        left join seasons on seasons.as_of_date = pieces.as_of_date
    )

select
    as_of_date,
    horizon_days,
    round(exp(coalesce(steadiness * {{ within_growth("log_season") }}, 0.0e0)), 9) as season_weight,
    present_worth,
    round(days_share, 9) as days_share
from compared
