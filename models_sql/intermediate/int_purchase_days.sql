-- Grain: customer_id x as_of_date, for customers who ever bought: on how many days (UTC) they bought, how
-- much these days' money varies, and how long the gaps between them are. Several orders of one day are one
-- purchase to whoever asks when a customer comes back.
{{ config(materialized="view") }}

with
    orders as (select * from {{ ref("int_orders_as_of") }}),

    days as (
        select
            customer_id,
            as_of_date,
            cast(ordered_at as date) as purchased_on,
            sum(cast(order_value * 100 as bigint)) as cents
        from orders
        group by customer_id, as_of_date, cast(ordered_at as date)
    ),

    gaps as (
        select
            days.*,
            {{ days_between(
                "lag(purchased_on) over (partition by customer_id, as_of_date order by purchased_on nulls last)",
                "purchased_on"
            ) }}
            as gap_days
        from days
    ),

    -- in millionths, so that sums are exact
    logs as (select gaps.*, {{ whole("ln(cast(gap_days as double)) * 1000000.0E0") }} as log_gap from gaps)

select
    customer_id,
    as_of_date,
    cast(count(*) as int) as purchase_days,
    {{ sample_std(
        "count(*)", "sum(" ~ wide("cents") ~ ")", "sum(" ~ wide("cents") ~ " * " ~ wide("cents") ~ ")"
    ) }} / 100.0e0 as std_day_value,
    round(exp({{ ratio("sum(log_gap)", "count(log_gap)") }} / 1000000.0e0), 6) as typical_gap_days,
    {{ sample_std("count(log_gap)", "sum(log_gap)", "sum(log_gap * log_gap)") }} / 1000000.0e0 as gap_log_std
from logs
group by customer_id, as_of_date
