-- Whom should we win back first? Customers gone quiet who bought often or much, by the value of an order
-- of theirs, weighed so that it counts most where it is open whether they return: neither gone for good
-- nor coming back unasked.
select
    customer.customer_id,
    customer.days_since_last_purchase,
    customer.total_purchases,
    customer.total_revenue as spent_so_far,
    round(customer.avg_order_value, 2) as avg_order_value,
    round(customer.churn_probability, 2) as churn_probability,
    round(
        customer.avg_order_value
        * coalesce(customer.churn_probability, customer.churn_risk_score)
        * (1 - coalesce(customer.churn_probability, customer.churn_risk_score)),
        2
    ) as order_at_stake,
    customer.clv_estimate
from {{ ref("customer_clv") }} as customer
inner join {{ ref("customer_segments") }} as segment on segment.customer_id = customer.customer_id
where segment.rfm_segment = 'at_risk'
order by order_at_stake desc nulls last, customer.customer_id
limit 20
