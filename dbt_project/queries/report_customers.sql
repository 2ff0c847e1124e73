-- The most valuable customers, and why.
select
    customers.customer_id,
    customers.clv_estimate,
    customers.clv_low,
    customers.clv_high,
    customers.certainty,
    customers.total_purchases,
    customers.days_since_last_purchase,
    narratives.narrative
from customer_clv as customers
inner join customer_narratives as narratives on narratives.customer_id = customers.customer_id
where customers.total_purchases > 0
order by customers.clv_estimate desc, customers.customer_id
limit 25
