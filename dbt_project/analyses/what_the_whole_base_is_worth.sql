-- What is the whole customer base worth in the horizon, and between which bounds?
select
    as_of_date,
    customer_count,
    estimate_total,
    round(predicted_total_low, 2) as predicted_total_low,
    round(predicted_total_high, 2) as predicted_total_high,
    round(estimate_total / customer_count, 2) as estimate_per_customer
from {{ ref("segment_value") }}
where segmentation = 'all'
