-- Grain: channel x cohort_month: customers won in the month, what they brought so far and are expected
-- to bring, with what the interval of that is made of, and what was spent on winning them.
with
    members as (
        select *
        from {{ ref("cohort_members") }}
        where dimension = '{{ channel_dimension() }}' and is_buyer = 1
    ),

    customers as (select * from {{ ref("customer_clv") }}),

    uncertain as (select * from {{ ref("segment_members") }} where segmentation = 'all'),

    spend as (select * from {{ ref("channel_spend") }}),

    won as (
        select
            members.dimension_value as channel,
            members.cohort_month,
            count(*) as customer_count,
            sum(customers.total_revenue) as revenue_so_far,
            sum(customers.clv_estimate) as estimate_total,
            sum({{ whole("uncertain.own_variance * 100.0E0") }}) / 100.0e0 as own_variance,
            max(uncertain.level_log_sd) as level_log_sd,
            max(uncertain.coverage) as coverage
        from members
        inner join customers on customers.customer_id = members.customer_id
        inner join uncertain on uncertain.customer_id = members.customer_id
        group by members.dimension_value, members.cohort_month
    )

select
    cast(coalesce(won.channel, spend.channel) as string) as channel,
    coalesce(won.cohort_month, spend.calendar_month) as cohort_month,
    cast(coalesce(won.customer_count, 0) as bigint) as customer_count,
    cast(won.revenue_so_far as decimal(18, 2)) as revenue_so_far,
    cast(won.estimate_total as decimal(18, 2)) as estimate_total,
    cast(
        {{ normal_quantile("won.coverage") }} * sqrt(
            won.own_variance + won.level_log_sd * won.level_log_sd * won.estimate_total * won.estimate_total
        ) as double
    ) as estimate_half_width,
    spend.spend
from won
full join spend on spend.channel = won.channel and spend.calendar_month = won.cohort_month
