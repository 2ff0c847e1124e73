-- Who are the most valuable customers, how sure is that, and why?
select
    customer_id, clv_estimate, clv_low, clv_high, round(clv_prediction_confidence, 2) as confidence, clv_top_features
from {{ ref("customer_clv") }}
order by clv_estimate desc, customer_id
limit 20
