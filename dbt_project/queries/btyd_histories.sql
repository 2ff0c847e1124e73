-- Grain: a history of purchases as of $as_of_date, and how many customers have it.
select
    cast(total_purchases as double) as purchases,
    cast(days_since_first_purchase - days_since_last_purchase as double) as active_days,
    cast(days_since_first_purchase as double) as age_days,
    cast(total_revenue as double) as revenue,
    cast(count(*) as double) as customers
from customer_rfm
where as_of_date = $as_of_date and total_purchases > 0
group by total_purchases, days_since_first_purchase, days_since_last_purchase, total_revenue
