-- What today's customers are expected to bring within each horizon, and how many of them order. Also
-- what that is a month in the days that the horizon adds to the shorter ones, with the bounds of the
-- shop's total.
with
    dates as (select as_of_date from as_of_dates where is_scoring_date),

    total as (
        select
            predicted_total_low / nullif(estimate_total, 0) as low_share,
            predicted_total_high / nullif(estimate_total, 0) as high_share
        from segment_value
        where segmentation = 'all'
    ),

    horizons as (
        select
            horizon_days,
            sum(expected_revenue) as expected_revenue,
            sum(order_probability) as customers_who_order
        from customer_horizons
        group by horizon_days
    ),

    pieces as (
        select
            horizons.*,
            lag(horizon_days, 1, 0) over (order by horizon_days) as from_days,
            expected_revenue - lag(expected_revenue, 1, 0) over (order by horizon_days) as added_revenue
        from horizons
    )

select
    pieces.horizon_days,
    pieces.expected_revenue,
    pieces.customers_who_order,
    cast(dates.as_of_date + pieces.from_days as date) as from_day,
    cast(dates.as_of_date + pieces.horizon_days as date) as to_day,
    cast(added_revenue as double) / (horizon_days - from_days) * 365.25 / 12 as revenue_a_month,
    total.low_share,
    total.high_share
from pieces
cross join dates
left join total on true
order by pieces.horizon_days
