-- Grain: one row: the customers of `side_before`, of `side_after` and of both, their value, unit and models.
select
    count(before.customer_id) as customers_before,
    count(after.customer_id) as customers_after,
    count(case when before.customer_id = after.customer_id then 1 end) as customers_on_both,
    coalesce(sum(cast(before.clv_predicted as decimal(28, 6))), 0) as total_before,
    coalesce(sum(cast(after.clv_predicted as decimal(28, 6))), 0) as total_after,
    max(before.horizon_days) as horizon_before,
    max(after.horizon_days) as horizon_after,
    max(before.reporting_currency) as currency_before,
    max(after.reporting_currency) as currency_after,
    string_agg(distinct before.model_version, ', ' order by before.model_version) as model_before,
    string_agg(distinct after.model_version, ', ' order by after.model_version) as model_after
from side_before as before
full outer join side_after as after on after.customer_id = before.customer_id
