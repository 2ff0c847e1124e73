-- What is a cohort worth? By month of the first purchase: spent so far, and expected in the horizon.
select
    acquisition_month,
    customer_count,
    round(repeat_share, 2) as repeat_share,
    revenue_so_far,
    round(revenue_so_far_mean, 2) as revenue_so_far_per_customer,
    estimate_total,
    round(estimate_mean, 2) as estimate_per_customer
from {{ ref("clv_by_cohort") }}
order by acquisition_month
