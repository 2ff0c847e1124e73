-- What each buyer spent in the last year, to see how much hangs on the largest.
select customer_rfm.revenue_365d as revenue
from customer_rfm
inner join as_of_dates on as_of_dates.as_of_date = customer_rfm.as_of_date
where as_of_dates.is_scoring_date and customer_rfm.total_purchases > 0
