-- How many buyers will not come back in the horizon, by segment? Chances add up to an expected number.
select
    segment.rfm_segment,
    count(*) as customers,
    round(sum(cast(customer.churn_probability as decimal(9, 6))), 0) as expected_not_to_return,
    round(100 * avg(cast(customer.churn_probability as decimal(9, 6))), 1) as percent_not_to_return
from {{ ref("customer_clv") }} as customer
inner join {{ ref("customer_segments") }} as segment on segment.customer_id = customer.customer_id
where customer.total_purchases > 0
group by segment.rfm_segment
order by percent_not_to_return desc nulls last, segment.rfm_segment
