-- Grain: acquisition_month: buyers by the month of their first purchase, what they brought so far and are
-- expected to bring.
with
    buyers as (
        select customer_clv.*, cast(date_trunc('month', first_purchase_at) as date) as acquisition_month
        from {{ ref("customer_clv") }} as customer_clv
        where total_purchases > 0
    ),

    summed as (
        select
            acquisition_month,
            max(as_of_date) as as_of_date,
            count(*) as customer_count,
            sum(case when total_purchases > 1 then 1 else 0 end) as repeat_count,
            sum(total_revenue) as revenue_so_far,
            sum(clv_estimate) as estimate_total
        from buyers
        group by acquisition_month
    )

select
    acquisition_month,
    as_of_date,
    cast(customer_count as bigint) as customer_count,
    {{ ratio("repeat_count", "customer_count") }} as repeat_share,
    cast(revenue_so_far as decimal(18, 2)) as revenue_so_far,
    {{ ratio("revenue_so_far", "customer_count") }} as revenue_so_far_mean,
    cast(estimate_total as decimal(18, 2)) as estimate_total,
    {{ ratio("estimate_total", "customer_count") }} as estimate_mean,
    cast(revenue_so_far + estimate_total as decimal(18, 2)) as total_with_estimate
from summed
