-- Grain: one row per as_of_date: how buyers of the shop differ in pace and order value, by moments. An
-- order is all that a customer bought on a day. What little is known of one buyer is drawn towards the
-- mean as far as buyers are alike beyond chance.
with
    purchases as (
        select * from {{ ref("customer_rfm") }} where {{ is_wanted("as_of_date") }} and total_purchases > 0
    ),

    counted as (
        select
            purchases.*,
            purchase_days - 1 as repeats,
            days_since_first_purchase as exposure_days,
            {{ ratio("total_revenue", "purchase_days") }} as day_value,
            (purchase_days - 1) * std_day_value * std_day_value as day_spread
        from purchases
    ),

    -- exact sums, from which both priors follow
    sums as (
        select
            as_of_date,
            build_hash,
            count(*) as n,
            sum({{ wide("repeats") }}) as x,
            sum({{ wide("exposure_days") }}) as t,
            sum({{ wide("repeats") }} * {{ wide("repeats") }}) as xx,
            sum({{ wide("repeats") }} * {{ wide("exposure_days") }}) as xt,
            sum({{ wide("exposure_days") }} * {{ wide("exposure_days") }}) as tt,
            sum({{ wide("purchase_days") }}) as days,
            sum({{ wide("purchase_days") }} * {{ wide("purchase_days") }}) as days_squared,
            sum(total_revenue) as revenue,
            sum({{ whole("10000.0E0 * coalesce(day_spread, 0.0E0)") }}) as within_squares,
            sum({{ whole("10000.0E0 * purchase_days * day_value * day_value") }}) as mean_squares
        from counted
        group by as_of_date, build_hash
    ),

    moments as (
        select
            as_of_date,
            build_hash,
            n,
            {{ ratio("x", "t") }} as mean_rate,
            cast(xx as double) as xx,
            cast(xt as double) as xt,
            cast(tt as double) as tt,
            cast(t as double) as t,
            cast(days as double) as days,
            {{ ratio("revenue", "days") }} as mean_order,
            {{ ratio("days_squared", "days") }} as mean_weight,
            {{ ratio("within_squares", "days - n") }} / 10000.0e0 as within_variance,
            cast(mean_squares as double) / 10000.0e0 as mean_squares
        from sums
    ),

    variances as (
        select
            moments.*,
            (xx - 2.0e0 * mean_rate * xt + mean_rate * mean_rate * tt - mean_rate * t)
            / nullif(tt, 0.0e0) as rate_variance,
            (mean_squares - days * mean_order * mean_order - (n - 1) * within_variance)
            / nullif(days - mean_weight, 0.0e0) as between_variance
        from moments
    )

select
    as_of_date,
    cast(n as bigint) as buyer_count,
    coalesce(mean_rate, 0.0e0) as mean_daily_rate,
    case when rate_variance > 0 then mean_rate / rate_variance end as prior_days,
    mean_order as mean_order_value,
    case
        when within_variance is null
        then 1.0e0
        when between_variance > 0
        then within_variance / between_variance
    end as prior_orders,
    build_hash
from variances
