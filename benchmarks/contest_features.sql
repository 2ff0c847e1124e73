-- Recency, frequency, money and intervals of every customer on one date, as somebody would write it by hand.
with
    known as (select *, cast(ordered_at as date) as day from orders where ordered_at < timestamp '{as_of}'),

    gaps as (
        select
            *,
            epoch_us(ordered_at - lag(ordered_at) over w) / 86400e6 as gap,
            epoch_us(timestamp '{as_of}' - ordered_at) as since,
            since // 86400000000 as age
        from known
        window w as (partition by customer_id order by ordered_at)
    ),

    totals as (
        select
            customer_id,
            min(ordered_at) as first_at,
            max(ordered_at) as last_at,
            count(*) as total_purchases,
            sum(amount) as total_revenue,
            avg(amount) as avg_order_value,
            count(*) filter (since <= 30 * 86400000000) as purchase_count_30d,
            coalesce(sum(amount) filter (since <= 30 * 86400000000), 0) as revenue_30d,
            avg(amount) filter (since <= 30 * 86400000000) as avg_order_value_30d,
            count(*) filter (since <= 90 * 86400000000) as purchase_count_90d,
            coalesce(sum(amount) filter (since <= 90 * 86400000000), 0) as revenue_90d,
            avg(amount) filter (since <= 90 * 86400000000) as avg_order_value_90d,
            count(*) filter (since <= 180 * 86400000000) as purchase_count_180d,
            coalesce(sum(amount) filter (since <= 180 * 86400000000), 0) as revenue_180d,
            avg(amount) filter (since <= 180 * 86400000000) as avg_order_value_180d,
            count(*) filter (since <= 365 * 86400000000) as purchase_count_365d,
            coalesce(sum(amount) filter (since <= 365 * 86400000000), 0) as revenue_365d,
            avg(amount) filter (since <= 365 * 86400000000) as avg_order_value_365d,
            purchase_count_365d as purchase_count_horizon_last_year,
            revenue_365d as revenue_horizon_last_year,
            round(sum(amount * round(exp(-age / 15.0), 6)), 2) as decayed_revenue_15d,
            round(sum(amount * round(exp(-age / 45.0), 6)), 2) as decayed_revenue_45d,
            round(sum(amount * round(exp(-age / 120.0), 6)), 2) as decayed_revenue_120d,
            round(sum(amount * round(exp(-age / 360.0), 6)), 2) as decayed_revenue_360d,
            arg_max(amount, (ordered_at, order_id)) as last_order_value,
            min(amount) as min_order_value,
            max(amount) as max_order_value,
            stddev_samp(amount) as std_order_value,
            avg(gap) filter (gap > 0) as interval_mean_days,
            stddev_samp(gap) filter (gap > 0) as interval_std_days,
            min(gap) filter (gap > 0) as interval_min_days,
            max(gap) filter (gap > 0) as interval_max_days
        from gaps
        group by customer_id
    ),

    days as (select customer_id, day, sum(amount) as amount from known group by customer_id, day),

    day_gaps as (
        select *, ln(day - lag(day) over (partition by customer_id order by day)) as log_gap from days
    ),

    of_days as (
        select
            customer_id,
            count(*) as purchase_days,
            stddev_samp(amount) as std_day_value,
            exp(avg(log_gap)) as typical_gap_days,
            stddev_samp(log_gap) as gap_log_std
        from day_gaps
        group by customer_id
    )

select
    *,
    epoch_us(timestamp '{as_of}' - last_at) // 86400000000 as days_since_last_purchase,
    epoch_us(timestamp '{as_of}' - first_at) // 86400000000 as days_since_first_purchase,
    total_purchases / greatest(1, days_since_first_purchase / 30.436875) as purchase_frequency_per_month,
    interval_std_days / interval_mean_days as interval_cv,
    1 / (1 + interval_std_days / interval_mean_days) as regularity_index,
    epoch_us(timestamp '{as_of}' - last_at) / 86400e6 / interval_mean_days as overdue_ratio
from totals
join of_days using (customer_id)
