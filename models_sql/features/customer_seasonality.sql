-- Grain: customer_id x as_of_date. How long the customer has been known, and when in the week, day and
-- year they buy. A position on a circle is a sine and a cosine, so that 23:00 lies next to 00:00. Clock
-- and weekday are the shop's.
with
    spine as (select * from {{ ref("int_spine") }} where {{ is_wanted("as_of_date") }}),

    orders as (
        select customer_id, as_of_date, ordered_at, {{ shop_time("ordered_at") }} as shop_ordered_at
        from {{ ref("int_orders_as_of") }}
        where {{ is_wanted("as_of_date") }}
    ),

    clocked as (
        select
            customer_id,
            as_of_date,
            ordered_at,
            shop_ordered_at,
            -- 1970-01-01 was a Thursday: day 0 of this week is a Monday
            (cast(floor({{ epoch_seconds("shop_ordered_at") }} / 86400.0e0) as int) + 3) % 7 as day_of_week,
            extract(hour from shop_ordered_at) as hour_of_day
        from orders
    ),

    weekdays as (
        select
            customer_id,
            as_of_date,
            day_of_week,
            row_number() over (
                partition by customer_id, as_of_date order by count(*) desc, max(ordered_at) desc, day_of_week
            ) as place
        from clocked
        group by customer_id, as_of_date, day_of_week
    ),

    hours as (
        select
            customer_id,
            as_of_date,
            hour_of_day,
            row_number() over (
                partition by customer_id, as_of_date order by count(*) desc, max(ordered_at) desc, hour_of_day
            ) as place
        from clocked
        group by customer_id, as_of_date, hour_of_day
    ),

    last_months as (
        select customer_id, as_of_date, extract(month from max(shop_ordered_at)) - 1 as month_number
        from clocked
        group by customer_id, as_of_date
    )

select
    spine.customer_id,
    spine.as_of_date,
    {{ days_between("spine.first_seen_at", "spine.as_of_date") }} as tenure_days,
    {{ on_circle("sin", "weekdays.day_of_week", 7) }} as preferred_dow_sin,
    {{ on_circle("cos", "weekdays.day_of_week", 7) }} as preferred_dow_cos,
    {{ on_circle("sin", "hours.hour_of_day", 24) }} as preferred_hour_sin,
    {{ on_circle("cos", "hours.hour_of_day", 24) }} as preferred_hour_cos,
    {{ on_circle("sin", "last_months.month_number", 12) }} as last_month_sin,
    {{ on_circle("cos", "last_months.month_number", 12) }} as last_month_cos,
    {{ on_circle(
        "sin",
        "(" ~ days_between("date '1970-01-01'", "spine.as_of_date") ~ " % " ~ setting("seasonality_period_days") ~ ")",
        setting("seasonality_period_days")
    ) }}
    as season_phase_sin,
    {{ on_circle(
        "cos",
        "(" ~ days_between("date '1970-01-01'", "spine.as_of_date") ~ " % " ~ setting("seasonality_period_days") ~ ")",
        setting("seasonality_period_days")
    ) }}
    as season_phase_cos,
    spine.build_hash
from spine
left join
    weekdays
    on weekdays.customer_id = spine.customer_id
    and weekdays.as_of_date = spine.as_of_date
    and weekdays.place = 1
left join
    hours on hours.customer_id = spine.customer_id and hours.as_of_date = spine.as_of_date and hours.place = 1
left join
    last_months on last_months.customer_id = spine.customer_id and last_months.as_of_date = spine.as_of_date
