-- How many customers got their estimate in which way.
select clv_method, count(*) as customers, sum(clv_estimate) as estimate_total
from customer_clv
group by clv_method
order by customers desc, clv_method
