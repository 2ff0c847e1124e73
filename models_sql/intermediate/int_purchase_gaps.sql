-- Grain: customer_id x as_of_date x ordered_at, for every instant at which the customer bought. The gap
-- to the purchase before it is NULL for the first; orders at the same instant are one.
{{ config(materialized="view") }}

with
    orders as (select * from {{ ref("int_orders_as_of") }}),

    instants as (
        select customer_id, as_of_date, ordered_at from orders group by customer_id, as_of_date, ordered_at
    )

select
    customer_id,
    as_of_date,
    ordered_at,
    {{ seconds_between(
        "lag(ordered_at) over (partition by customer_id, as_of_date order by ordered_at)", "ordered_at"
    ) }} as gap_seconds
from instants
