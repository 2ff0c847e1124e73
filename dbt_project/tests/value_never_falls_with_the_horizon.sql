-- Fails where a customer's value or chance of an order falls from a horizon to the next longer one. Whatever
-- comes within 30 days comes within 90 too; rounding may take a cent.
with
    compared as (
        select
            customer_id,
            horizon_days,
            expected_revenue,
            order_probability,
            lag(expected_revenue) over (
                partition by customer_id order by horizon_days nulls last
            ) as shorter_revenue,
            lag(order_probability) over (
                partition by customer_id order by horizon_days nulls last
            ) as shorter_probability
        from {{ ref("customer_horizons") }}
    )

select *
from compared
where expected_revenue < shorter_revenue - 0.01 or order_probability < shorter_probability - 0.000001
