-- Whom should we not discount? Those in the two best value tiers who are all but certain to buy anyway.
select
    customer.customer_id,
    segment.rfm_segment,
    segment.value_tier,
    customer.clv_estimate,
    round(customer.churn_probability, 2) as churn_probability,
    customer.days_since_last_purchase,
    round(customer.interval_mean_days, 0) as usual_days_between_purchases
from {{ ref("customer_clv") }} as customer
inner join {{ ref("customer_segments") }} as segment on segment.customer_id = customer.customer_id
where
    segment.value_tier in ('top', 'high')
    and coalesce(customer.churn_probability, customer.churn_risk_score) < 0.2
order by customer.clv_estimate desc, customer.customer_id
limit 20
