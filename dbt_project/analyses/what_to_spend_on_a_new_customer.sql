-- What may winning a customer cost? Recent cohorts: spent in their time so far and expected in the
-- horizon, per customer. Net revenue, not margin: multiply by your margin before you compare it with the
-- cost of acquisition.
select
    acquisition_month,
    customer_count,
    round(revenue_so_far_mean, 2) as revenue_so_far_per_customer,
    round(estimate_mean, 2) as expected_per_customer,
    round(total_with_estimate / customer_count, 2) as together_per_customer
from {{ ref("clv_by_cohort") }}
order by acquisition_month desc
limit 6
