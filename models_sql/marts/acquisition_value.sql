-- Grain: channel x cohort_month: customers won, what winning one of them cost, what they brought and
-- are expected to bring, and when the margin had paid for it. What is not known is NULL.
with
    cohorts as (select * from {{ ref("cohort_values") }}),

    months as (select * from {{ ref("cohort_months") }} where dimension = '{{ channel_dimension() }}'),

    costed as (
        select
            cohorts.*,
            {{ ratio("spend", "customer_count") }} as cac,
            {{ ratio("revenue_so_far + estimate_total", "customer_count") }} as value_mean,
            {{ ratio("estimate_half_width", "customer_count") }} as half_width_mean
        from cohorts
    ),

    paid_back as (
        select costed.channel, costed.cohort_month, min(months.months_since) as months_since
        from costed
        inner join
            months
            on months.dimension_value = costed.channel
            and months.cohort_month = costed.cohort_month
            and {{ margin_of("months.cumulative_revenue_mean") }} >= costed.cac
        group by costed.channel, costed.cohort_month
    )

select
    costed.channel,
    costed.cohort_month,
    costed.customer_count,
    costed.spend,
    costed.cac,
    costed.revenue_so_far,
    costed.estimate_total,
    costed.value_mean,
    {{ margin_of("costed.value_mean") }} as margin_mean,
    {{ ratio(margin_of("costed.value_mean"), "costed.cac") }} as ltv_to_cac,
    {{ ratio(margin_of("(costed.value_mean - costed.half_width_mean)"), "costed.cac") }} as ltv_to_cac_low,
    {{ ratio(margin_of("(costed.value_mean + costed.half_width_mean)"), "costed.cac") }} as ltv_to_cac_high,
    cast(paid_back.months_since as int) as payback_months
from costed
left join paid_back on paid_back.channel = costed.channel and paid_back.cohort_month = costed.cohort_month
