-- Grain: customer, the five of the highest estimate, and why.
select
    customers.customer_id, customers.clv_estimate, customers.clv_low, customers.clv_high, narratives.narrative
from customer_clv as customers
inner join customer_narratives as narratives on narratives.customer_id = customers.customer_id
order by customers.clv_estimate desc, customers.customer_id
limit 5
