-- What is each segment worth, what share of the base is it, and what is one of its customers worth?
select
    segment as rfm_segment,
    customer_count,
    round(100 * customer_share, 1) as percent_of_customers,
    estimate_total,
    round(100 * estimate_share, 1) as percent_of_value,
    round(estimate_total / customer_count, 2) as estimate_per_customer
from {{ ref("segment_value") }}
where segmentation = 'rfm_segment'
order by estimate_total desc, segment
