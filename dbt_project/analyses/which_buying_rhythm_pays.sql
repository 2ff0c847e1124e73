-- Which rhythm of buying is worth most? By behaviour type: customers, order value, and expected value.
select
    behavior_type,
    count(*) as customers,
    round(avg(cast(avg_order_value as decimal(18, 2))), 2) as mean_order_value,
    round(avg(cast(interval_mean_days as decimal(18, 2))), 0) as mean_days_between_purchases,
    sum(clv_estimate) as estimate_total,
    round(avg(clv_estimate), 2) as estimate_per_customer
from {{ ref("customer_clv") }}
where total_purchases > 0
group by behavior_type
order by estimate_per_customer desc, behavior_type
