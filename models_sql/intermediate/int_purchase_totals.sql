-- Grain: customer_id x as_of_date, for customers who ever bought: what stood of their orders before the
-- date, refunds left out. Older orders fade in the decayed sums.
{{ config(materialized="view") }}

with
    orders as (select * from {{ ref("int_orders_as_of") }}),

    numbered as (
        select
            orders.*,
            cast(order_value * 100 as bigint) as cents,
            row_number() over (
                partition by customer_id, as_of_date order by ordered_at desc, order_id desc
            ) as newest_first
        from orders
    )

select
    customer_id,
    as_of_date,
    count(*) as purchase_count,
    cast(sum(order_value) as decimal(18, 2)) as gross_revenue,
    sum(item_count) as item_count,
    min(ordered_at) as first_purchase_at,
    max(ordered_at) as last_purchase_at,
    min(order_value) as min_order_value,
    max(order_value) as max_order_value,
    max(case when newest_first = 1 then order_value end) as last_order_value,
    {{ sample_std(
        "count(*)", "sum(" ~ wide("cents") ~ ")", "sum(" ~ wide("cents") ~ " * " ~ wide("cents") ~ ")"
    ) }} / 100.0e0 as std_order_value,
    count(
        case when {{ in_horizon_last_year("ordered_at", "as_of_date") }} then 1 end
    ) as purchase_count_horizon_last_year,
    sum(
        case when {{ in_horizon_last_year("ordered_at", "as_of_date") }} then order_value else 0 end
    ) as gross_revenue_horizon_last_year,
    {{ money("sum(" ~ decayed("order_value", "ordered_at", "as_of_date", 15) ~ ")") }} as decayed_revenue_15d,
    {{ money("sum(" ~ decayed("order_value", "ordered_at", "as_of_date", 45) ~ ")") }} as decayed_revenue_45d,
    {{ money("sum(" ~ decayed("order_value", "ordered_at", "as_of_date", 120) ~ ")") }}
    as decayed_revenue_120d,
    {{ money("sum(" ~ decayed("order_value", "ordered_at", "as_of_date", 360) ~ ")") }}
    as decayed_revenue_360d
from numbered
group by customer_id, as_of_date
