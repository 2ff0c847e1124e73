-- The shop on the scoring date, in one row: customers, value, history and freshness. None without events.
with
    today as (select as_of_date, shop_age_days from as_of_dates where is_scoring_date),

    summed as (
        select
            count(*) as customers,
            count(*) filter (total_purchases > 0) as buyers,
            coalesce(sum(clv_estimate), 0) as estimate_total,
            max(clv_model_version) as model_version,
            max(scored_at) as scored_at
        from customer_clv
    )

select
    today.as_of_date,
    today.shop_age_days,
    summed.*,
    (select max(occurred_at) from int_events) as newest_event_at,
    (select min(occurred_at) from int_events) as oldest_event_at,
    (select max(known_at) from int_events) as newest_known_at
from today
cross join summed
