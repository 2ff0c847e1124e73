-- Did earlier predictions come true? By scoring date and model: the predicted total against what was
-- spent, once the window is past; a window still open has no actual yet.
select
    as_of_date,
    model_version,
    count(*) as customers,
    sum(cast(clv_predicted as decimal(18, 2))) as predicted_total,
    sum(actual_revenue) as actual_total,
    round(
        100.0
        * sum(case when actual_revenue between clv_low and clv_high then 1 else 0 end)
        / nullif(count(actual_revenue), 0),
        1
    ) as percent_within_interval
from {{ ref("customer_clv_history") }}
group by as_of_date, model_version
order by as_of_date
