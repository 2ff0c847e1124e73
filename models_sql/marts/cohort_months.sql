-- Grain: dimension x dimension_value x cohort_month x months_since: what customers won in one month did
-- in every month since, up to the scoring date. All cells together are the net revenue that stands on
-- that date.
with
    members as (select * from {{ ref("cohort_members") }}),

    entries as (select * from {{ ref("money_entries") }}),

    cohorts as (
        select
            dimension,
            dimension_value,
            cohort_month,
            max(as_of_date) as as_of_date,
            sum(is_buyer) as customer_count
        from members
        group by dimension, dimension_value, cohort_month
    ),

    ages as (
        select {{ explode(whole_numbers(0, "months_past")) }} as months_since
        from
            (
                select max({{ calendar_months_between("cohort_month", "as_of_date") }}) as months_past
                from cohorts
            ) as oldest
    ),

    -- a month in which nobody bought is a cell, too
    cells as (
        select
            cohorts.*,
            ages.months_since,
            {{ month_after("cohorts.cohort_month", "ages.months_since") }} as calendar_month
        from cohorts
        inner join ages on {{ month_after("cohorts.cohort_month", "ages.months_since") }} < cohorts.as_of_date
    ),

    -- a refund from before the first purchase belongs to the first month
    activity as (
        select
            members.dimension,
            members.dimension_value,
            members.cohort_month,
            greatest(
                0, {{ calendar_months_between("members.cohort_month", "entries.happened_at") }}
            ) as months_since,
            count(distinct case when entries.is_order = 1 then entries.customer_id end) as active_count,
            sum(entries.is_order) as order_count,
            sum(entries.amount) as net_revenue
        from members
        inner join entries on entries.customer_id = members.customer_id
        group by
            members.dimension,
            members.dimension_value,
            members.cohort_month,
            greatest(0, {{ calendar_months_between("members.cohort_month", "entries.happened_at") }})
    ),

    filled as (
        select
            cells.*,
            coalesce(activity.active_count, 0) as active_count,
            coalesce(activity.order_count, 0) as order_count,
            coalesce(activity.net_revenue, 0) as net_revenue,
            sum(coalesce(activity.net_revenue, 0)) over (
                partition by cells.dimension, cells.dimension_value, cells.cohort_month
                order by cells.months_since nulls last
                rows between unbounded preceding and current row
            ) as cumulative_revenue
        from cells
        left join
            activity
            on activity.dimension = cells.dimension
            and activity.dimension_value = cells.dimension_value
            and activity.cohort_month = cells.cohort_month
            and activity.months_since = cells.months_since
    )

select
    dimension,
    dimension_value,
    cohort_month,
    cast(months_since as int) as months_since,
    calendar_month,
    as_of_date,
    {{ month_after("calendar_month", 1) }} <= as_of_date as is_complete,
    cast(customer_count as bigint) as customer_count,
    cast(active_count as bigint) as active_count,
    {{ ratio("active_count", "customer_count") }} as retention,
    cast(order_count as bigint) as order_count,
    cast(net_revenue as decimal(18, 2)) as net_revenue,
    cast(cumulative_revenue as decimal(18, 2)) as cumulative_revenue,
    {{ ratio("cumulative_revenue", "customer_count") }} as cumulative_revenue_mean
from filled
