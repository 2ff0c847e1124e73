-- Who should have bought by now? Customers of a known rhythm (three purchases or more) who are well past
-- their usual gap, but not so far that they are gone.
select
    customer_id,
    last_purchase_at,
    days_since_last_purchase,
    round(interval_mean_days, 0) as usual_days_between_purchases,
    round(overdue_ratio, 1) as times_the_usual_gap,
    clv_estimate
from {{ ref("customer_clv") }}
where total_purchases >= 3 and overdue_ratio >= 1.5 and overdue_ratio < 4
order by clv_estimate desc, customer_id
limit 20
