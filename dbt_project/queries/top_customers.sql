-- Grain: customer, the ten of the highest estimate.
select customer_id, clv_estimate, clv_low, clv_high, clv_prediction_confidence, clv_top_features
from customer_clv
order by clv_estimate desc, customer_id
limit 10
