-- What a customer is expected to spend within each horizon. Grain: horizon_days.
select horizon_days, expected_revenue, order_probability
from customer_horizons
where customer_id = $customer
order by horizon_days
