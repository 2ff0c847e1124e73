-- Grain: a history of purchases (days with orders) as of $as_of_date, and how many customers have it.
select
    cast(purchase_days as double) as purchases,
    cast(days_since_first_purchase - days_since_last_purchase as double) as active_days,
    cast(days_since_first_purchase as double) as age_days,
    cast(total_revenue as double) as revenue,
    coalesce(ln(typical_gap_days), 0.0e0) as log_gap,
    coalesce(gap_log_std, 0.0e0) as log_gap_sd,
    cast(count(*) as double) as customers
from customer_rfm
where as_of_date = $as_of_date and total_purchases > 0
group by
    purchase_days,
    days_since_first_purchase,
    days_since_last_purchase,
    total_revenue,
    typical_gap_days,
    gap_log_std
