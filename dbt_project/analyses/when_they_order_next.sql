-- Who is likely to order in the next 30 days, when, and of what value? With the window of that order.
select
    customer_id,
    next_order_expected_on,
    next_order_from,
    next_order_until,
    round(order_probability, 2) as order_probability,
    round(expected_orders, 1) as expected_orders,
    round(expected_order_value, 2) as expected_order_value,
    is_overdue
from {{ ref("next_orders") }}
where next_order_expected_on <= as_of_date + interval '30 days' and order_probability >= 0.5
order by expected_order_value * expected_orders desc, customer_id
limit 50
