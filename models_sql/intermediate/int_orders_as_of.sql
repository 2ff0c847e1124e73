-- Grain: customer_id x as_of_date x order_id, for every order that stood, as far as was known, on the date.
{{ config(materialized="view") }}

with dates as (select * from {{ ref("as_of_dates") }}), orders as (select * from {{ ref("int_orders") }})

select
    orders.customer_id,
    dates.as_of_date,
    orders.order_id,
    orders.ordered_at,
    orders.order_value,
    orders.item_count
from dates
inner join orders on {{ state_known_before("orders.known_from", "orders.known_until", "dates.as_of_date") }}
