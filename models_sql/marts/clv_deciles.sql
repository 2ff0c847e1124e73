-- Grain: value_decile: buyers in tenths by clv_estimate, 10 the most valuable; ties in order of
-- customer_id.
with
    buyers as (
        select customer_clv.*, ntile(10) over (order by clv_estimate, customer_id) as value_decile
        from {{ ref("customer_clv") }} as customer_clv
        where total_purchases > 0
    ),

    summed as (
        select
            value_decile,
            max(as_of_date) as as_of_date,
            count(*) as customer_count,
            min(clv_estimate) as estimate_min,
            max(clv_estimate) as estimate_max,
            sum(clv_estimate) as estimate_total,
            sum(total_revenue) as revenue_so_far,
            sum({{ whole("churn_probability * 1000000.0E0") }}) as churn_millionths,
            count(churn_probability) as churn_count
        from buyers
        group by value_decile
    ),

    added_up as (
        select
            summed.*,
            sum(estimate_total) over () as all_total,
            sum(estimate_total) over (order by value_decile desc) as running_total
        from summed
    )

select
    cast(value_decile as int) as value_decile,
    as_of_date,
    cast(customer_count as bigint) as customer_count,
    estimate_min,
    estimate_max,
    cast(estimate_total as decimal(18, 2)) as estimate_total,
    {{ ratio("estimate_total", "customer_count") }} as estimate_mean,
    {{ ratio("estimate_total", "all_total") }} as estimate_share,
    {{ ratio("running_total", "all_total") }} as estimate_share_from_top,
    cast(revenue_so_far as decimal(18, 2)) as revenue_so_far,
    {{ ratio("churn_millionths", "churn_count") }} / 1000000.0e0 as churn_probability_mean
from added_up
