-- What is a customer of each channel worth, cohort by cohort? And of every other declared attribute:
-- net revenue per customer won, and how many still buy, so many months later.
select
    dimension,
    dimension_value,
    cohort_month,
    max(customer_count) as customers,
    round(max(case when months_since = 1 then cumulative_revenue_mean end), 2) as after_1_month,
    round(max(case when months_since = 3 then cumulative_revenue_mean end), 2) as after_3_months,
    round(max(case when months_since = 12 then cumulative_revenue_mean end), 2) as after_a_year,
    round(max(case when months_since = 12 then retention end), 2) as still_buy_after_a_year
from {{ ref("cohort_months") }}
where is_complete
group by dimension, dimension_value, cohort_month
order by dimension, dimension_value, cohort_month
