-- What will all customers together bring in the next 30, 90, 180 and 365 days, and how many of them order?
select
    horizon_days,
    sum(expected_revenue) as expected_revenue,
    round(sum(order_probability), 0) as customers_who_order,
    count(*) as customers
from {{ ref("customer_horizons") }}
group by horizon_days
order by horizon_days
