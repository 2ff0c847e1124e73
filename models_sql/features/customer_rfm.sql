-- Grain: customer_id x as_of_date. What the customer bought and gave back before the date: recency,
-- frequency, money.
with
    spine as (select * from {{ ref("int_spine") }} where {{ is_wanted("as_of_date") }}),

    purchased as (select * from {{ ref("int_purchase_totals") }} where {{ is_wanted("as_of_date") }}),

    days as (select * from {{ ref("int_purchase_days") }} where {{ is_wanted("as_of_date") }}),

    refunds as (select * from {{ ref("int_refunds_as_of") }} where {{ is_wanted("as_of_date") }}),

    windows as (select * from {{ ref("int_purchase_windows") }} where {{ is_wanted("as_of_date") }}),

    refunded as (
        select
            customer_id,
            as_of_date,
            sum(refund_amount) as refunds,
            sum(
                case
                    when {{ in_horizon_last_year("refunded_at", "as_of_date") }} then refund_amount else 0
                end
            ) as refunds_horizon_last_year
        from refunds
        group by customer_id, as_of_date
    ),

    -- a window without a row leaves NULL
    recent as (
        select
            customer_id,
            as_of_date,
            max(case when window_days = 30 then purchase_count end) as purchase_count_30d,
            max(case when window_days = 30 then revenue end) as revenue_30d,
            max(case when window_days = 30 then avg_order_value end) as avg_order_value_30d,
            max(case when window_days = 30 then refund_rate end) as refund_rate_30d,
            max(case when window_days = 90 then purchase_count end) as purchase_count_90d,
            max(case when window_days = 90 then revenue end) as revenue_90d,
            max(case when window_days = 90 then avg_order_value end) as avg_order_value_90d,
            max(case when window_days = 90 then refund_rate end) as refund_rate_90d,
            max(case when window_days = 180 then purchase_count end) as purchase_count_180d,
            max(case when window_days = 180 then revenue end) as revenue_180d,
            max(case when window_days = 180 then avg_order_value end) as avg_order_value_180d,
            max(case when window_days = 180 then refund_rate end) as refund_rate_180d,
            max(case when window_days = 365 then purchase_count end) as purchase_count_365d,
            max(case when window_days = 365 then revenue end) as revenue_365d,
            max(case when window_days = 365 then avg_order_value end) as avg_order_value_365d,
            max(case when window_days = 365 then refund_rate end) as refund_rate_365d
        from windows
        group by customer_id, as_of_date
    )

select
    spine.customer_id,
    spine.as_of_date,
    cast(purchased.first_purchase_at as timestamp) as first_purchase_at,
    cast(purchased.last_purchase_at as timestamp) as last_purchase_at,
    {{ days_between("purchased.last_purchase_at", "spine.as_of_date") }} as days_since_last_purchase,
    {{ days_between("purchased.first_purchase_at", "spine.as_of_date") }} as days_since_first_purchase,
    {{ ratio(
        "coalesce(purchased.purchase_count, 0)",
        tenure_months(days_between("spine.first_seen_at", "spine.as_of_date"))
    ) }} as purchase_frequency_per_month,
    cast(coalesce(purchased.purchase_count, 0) as int) as total_purchases,
    {{ money("coalesce(purchased.gross_revenue, 0) + coalesce(refunded.refunds, 0)") }} as total_revenue,
    {{ ratio("purchased.gross_revenue + coalesce(refunded.refunds, 0)", "purchased.purchase_count") }}
    as avg_order_value,
    {{ ratio("-coalesce(refunded.refunds, 0)", "purchased.gross_revenue") }} as refund_rate,
    coalesce(recent.purchase_count_30d, 0) as purchase_count_30d,
    coalesce(recent.revenue_30d, 0) as revenue_30d,
    recent.avg_order_value_30d,
    recent.refund_rate_30d,
    coalesce(recent.purchase_count_90d, 0) as purchase_count_90d,
    coalesce(recent.revenue_90d, 0) as revenue_90d,
    recent.avg_order_value_90d,
    recent.refund_rate_90d,
    coalesce(recent.purchase_count_180d, 0) as purchase_count_180d,
    coalesce(recent.revenue_180d, 0) as revenue_180d,
    recent.avg_order_value_180d,
    recent.refund_rate_180d,
    coalesce(recent.purchase_count_365d, 0) as purchase_count_365d,
    coalesce(recent.revenue_365d, 0) as revenue_365d,
    recent.avg_order_value_365d,
    recent.refund_rate_365d,
    cast(coalesce(purchased.purchase_count_horizon_last_year, 0) as int) as purchase_count_horizon_last_year,
    {{ money(
        "coalesce(purchased.gross_revenue_horizon_last_year, 0) + coalesce(refunded.refunds_horizon_last_year, 0)"
    ) }}
    as revenue_horizon_last_year,
    coalesce(purchased.decayed_revenue_15d, 0) as decayed_revenue_15d,
    coalesce(purchased.decayed_revenue_45d, 0) as decayed_revenue_45d,
    coalesce(purchased.decayed_revenue_120d, 0) as decayed_revenue_120d,
    coalesce(purchased.decayed_revenue_360d, 0) as decayed_revenue_360d,
    cast(purchased.last_order_value as decimal(18, 2)) as last_order_value,
    cast(purchased.min_order_value as decimal(18, 2)) as min_order_value,
    cast(purchased.max_order_value as decimal(18, 2)) as max_order_value,
    purchased.std_order_value,
    coalesce(days.purchase_days, 0) as purchase_days,
    days.std_day_value,
    days.typical_gap_days,
    days.gap_log_std,
    cast(purchased.item_count as decimal(18, 3)) as total_items,
    spine.build_hash
from spine
left join purchased on purchased.customer_id = spine.customer_id and purchased.as_of_date = spine.as_of_date
left join days on days.customer_id = spine.customer_id and days.as_of_date = spine.as_of_date
left join refunded on refunded.customer_id = spine.customer_id and refunded.as_of_date = spine.as_of_date
left join recent on recent.customer_id = spine.customer_id and recent.as_of_date = spine.as_of_date
