-- Grain: customer_id x as_of_date x window_days: what the customer bought and gave back in the last 30,
-- 90, 180 and 365 days before the date. Windows in which nothing happened have no row.
{{ config(materialized="view") }}

with
    orders as (select * from {{ ref("int_orders_as_of") }}),

    refunds as (select * from {{ ref("int_refunds_as_of") }}),

    windows as (
        select 30 as window_days
        union all
        select 90 as window_days
        union all
        select 180 as window_days
        union all
        select 365 as window_days
    ),

    movements as (
        select
            customer_id,
            as_of_date,
            ordered_at as happened_at,
            1 as purchases,
            order_value,
            0 as refund_amount
        from orders
        union all
        select
            customer_id,
            as_of_date,
            refunded_at as happened_at,
            0 as purchases,
            0 as order_value,
            refund_amount
        from refunds
    ),

    summed as (
        select
            movements.customer_id,
            movements.as_of_date,
            windows.window_days,
            sum(movements.purchases) as purchases,
            sum(movements.order_value) as gross_revenue,
            sum(movements.refund_amount) as refunds
        from movements
        inner join
            windows on {{ in_span("movements.happened_at", "movements.as_of_date", "windows.window_days") }}
        group by movements.customer_id, movements.as_of_date, windows.window_days
    )

select
    customer_id,
    as_of_date,
    window_days,
    cast(purchases as int) as purchase_count,
    {{ money("gross_revenue + refunds") }} as revenue,
    {{ ratio("gross_revenue + refunds", "purchases") }} as avg_order_value,
    {{ ratio("-refunds", "gross_revenue") }} as refund_rate
from summed
