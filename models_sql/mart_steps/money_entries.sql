-- Grain: one row per order and per refund that stood on the scoring date, as far as was known: all that net
-- revenue is made of.
with
    dates as (select as_of_date from {{ ref("as_of_dates") }} where is_scoring_date),

    orders as (select * from {{ ref("int_orders_as_of") }}),

    refunds as (select * from {{ ref("int_refunds_as_of") }})

select
    orders.customer_id,
    orders.as_of_date,
    orders.order_id as entry_id,
    orders.ordered_at as happened_at,
    orders.order_value as amount,
    1 as is_order
from dates
inner join orders on orders.as_of_date = dates.as_of_date
union all
select
    refunds.customer_id,
    refunds.as_of_date,
    refunds.refund_id as entry_id,
    refunds.refunded_at as happened_at,
    refunds.refund_amount as amount,
    0 as is_order
from dates
inner join refunds on refunds.as_of_date = dates.as_of_date
