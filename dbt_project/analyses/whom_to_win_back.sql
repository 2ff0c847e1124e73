-- Whom should we win back first? Customers gone quiet who spent well before, by the value at stake: what they are expected to
-- be worth, and how likely it is that they do not return by themselves.
select
    customer.customer_id,
    customer.days_since_last_purchase,
    customer.total_revenue as spent_so_far,
    customer.clv_estimate,
    round(customer.churn_probability, 2) as churn_probability,
    round(customer.clv_estimate * coalesce(customer.churn_probability, customer.churn_risk_score), 2) as value_at_risk
from {{ ref("customer_clv") }} as customer
inner join {{ ref("customer_segments") }} as segment on segment.customer_id = customer.customer_id
where segment.rfm_segment = 'at_risk'
order by value_at_risk desc nulls last, customer.customer_id
limit 20
