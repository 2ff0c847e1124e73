-- Who are the most valuable customers, how sure is that, and why?
select
    customer_id,
    clv_estimate,
    round(clv_low, 2) as clv_low,
    round(clv_high, 2) as clv_high,
    round(clv_prediction_confidence, 2) as confidence,
    clv_top_features
from {{ ref("customer_clv") }}
order by clv_estimate desc, customer_id
limit 20
