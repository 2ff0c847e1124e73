-- Is past spend a good guide to future value? Fifths by spend so far against fifths by expected value, as
-- customer counts; what lies off the diagonal is what a list of past spenders gets wrong.
with
    placed as (
        select
            ntile(5) over (order by total_revenue, customer_id) as spend_fifth,
            ntile(5) over (order by clv_estimate, customer_id) as value_fifth
        from {{ ref("customer_clv") }}
        where total_purchases > 0
    )

select
    spend_fifth,
    sum(case when value_fifth = 1 then 1 else 0 end) as lowest_value,
    sum(case when value_fifth = 2 then 1 else 0 end) as low_value,
    sum(case when value_fifth = 3 then 1 else 0 end) as middle_value,
    sum(case when value_fifth = 4 then 1 else 0 end) as high_value,
    sum(case when value_fifth = 5 then 1 else 0 end) as highest_value
from placed
group by spend_fifth
order by spend_fifth
