-- What does winning a customer cost, and what do they bring? By channel: the cost of one, what one leaves for
-- each unit of that money with its bounds, and the month that paid for it. NULL is not known.
select
    channel,
    cohort_month,
    customer_count,
    round(cac, 2) as cost_of_one,
    round(value_mean, 2) as revenue_of_one,
    round(margin_mean, 2) as margin_of_one,
    round(ltv_to_cac, 1) as ltv_to_cac,
    round(ltv_to_cac_low, 1) as low,
    round(ltv_to_cac_high, 1) as high,
    payback_months
from {{ ref("acquisition_value") }}
order by channel, cohort_month desc
