-- What margin is expected? By value tier; NULL while the setting gross_margin is empty.
select
    segment.value_tier,
    count(*) as customers,
    round(sum(customer.clv_predicted), 2) as predicted_revenue,
    round(sum(customer.clv_predicted_margin), 2) as predicted_margin,
    round(avg(customer.clv_predicted_margin), 2) as margin_per_customer
from {{ ref("customer_clv") }} as customer
inner join {{ ref("customer_segments") }} as segment on segment.customer_id = customer.customer_id
group by segment.value_tier
order by predicted_revenue desc nulls last
