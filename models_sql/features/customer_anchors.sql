-- Grain: customer_id x as_of_date, for customers who ever bought. Closed-form estimates of the horizon's revenue from what
-- was known on the date, the anchor that the model's multiplier works on, and the customer's spend relative to it.
with
    purchases as (select * from {{ ref("customer_rfm") }} where {{ is_wanted("as_of_date") }} and total_purchases > 0),

    dates as (select * from {{ ref("as_of_dates") }} where {{ is_wanted("as_of_date") }}),

    counted as (
        select
            purchases.*,
            purchases.total_purchases - 1 as repeats,
            purchases.days_since_first_purchase as exposure_days,
            least(365, greatest(1, dates.shop_age_days)) as history_days,
            (purchases.total_purchases - 1) * purchases.std_order_value * purchases.std_order_value as order_spread
        from purchases
        inner join dates on dates.as_of_date = purchases.as_of_date
    ),

    -- exact sums over the shop's customers, from which both shrinkages follow by moments
    sums as (
        select
            as_of_date,
            count(*) as n,
            sum({{ wide("repeats") }}) as x,
            sum({{ wide("exposure_days") }}) as t,
            sum({{ wide("repeats") }} * {{ wide("repeats") }}) as xx,
            sum({{ wide("repeats") }} * {{ wide("exposure_days") }}) as xt,
            sum({{ wide("exposure_days") }} * {{ wide("exposure_days") }}) as tt,
            sum({{ wide("total_purchases") }}) as orders,
            sum({{ wide("total_purchases") }} * {{ wide("total_purchases") }}) as orders_squared,
            sum(total_revenue) as revenue,
            sum({{ whole("10000.0E0 * coalesce(order_spread, 0.0E0)") }}) as within_squares,
            sum({{ whole("10000.0E0 * total_purchases * avg_order_value * avg_order_value") }}) as mean_squares
        from counted
        group by as_of_date
    ),

    moments as (
        select
            as_of_date,
            n,
            {{ ratio("x", "t") }} as mean_rate,
            cast(xx as double) as xx,
            cast(xt as double) as xt,
            cast(tt as double) as tt,
            cast(t as double) as t,
            cast(orders as double) as orders,
            {{ ratio("revenue", "orders") }} as mean_order,
            {{ ratio("orders_squared", "orders") }} as mean_weight,
            {{ ratio("within_squares", "orders - n") }} / 10000.0E0 as within_variance,
            cast(mean_squares as double) / 10000.0E0 as mean_squares
        from sums
    ),

    variances as (
        select
            moments.*,
            (xx - 2.0E0 * mean_rate * xt + mean_rate * mean_rate * tt - mean_rate * t) / nullif(tt, 0.0E0)
            as rate_variance,
            (mean_squares - orders * mean_order * mean_order - (n - 1) * within_variance)
            / nullif(orders - mean_weight, 0.0E0) as between_variance
        from moments
    ),

    -- gamma prior of the rate in days of exposure, credibility of the order value in orders; NULL: no spread between
    -- customers beyond chance, so everybody gets the mean
    priors as (
        select
            as_of_date,
            coalesce(mean_rate, 0.0E0) as mean_rate,
            case when rate_variance > 0 then mean_rate / rate_variance end as prior_days,
            mean_order,
            case
                when within_variance is null
                then 1.0E0
                when between_variance > 0
                then within_variance / between_variance
            end as prior_orders
        from variances
    ),

    estimated as (
        select
            counted.*,
            {{ money("counted.revenue_365d * (" ~ setting("horizon_days") ~ ".0E0 / counted.history_days)") }}
            as persistence_value,
            coalesce(
                (priors.mean_rate * priors.prior_days + counted.repeats) / (priors.prior_days + counted.exposure_days),
                priors.mean_rate
            )
            * {{ setting("horizon_days") }}
            * greatest(
                0.0E0,
                coalesce(
                    (priors.mean_order * priors.prior_orders + counted.total_revenue)
                    / (priors.prior_orders + counted.total_purchases),
                    priors.mean_order
                )
            ) as bayes_value
        from counted
        inner join priors on priors.as_of_date = counted.as_of_date
    ),

    blended as (
        select
            estimated.*,
            {{ money("bayes_value") }} as empirical_bayes_value,
            {{ money("0.5E0 * greatest(0.0E0, persistence_value) + 0.5E0 * bayes_value") }} as blend_value
        from estimated
    ),

    -- a floor of two percent of the mean keeps every ratio finite
    averages as (
        select as_of_date, {{ ratio("sum(blend_value)", "count(*)") }} as mean_value from blended group by as_of_date
    ),

    anchored as (
        select
            blended.*,
            averages.mean_value,
            cast({{ money("greatest(0.01E0, blended.blend_value + 0.02E0 * averages.mean_value)") }} as double)
            as anchor
        from blended
        inner join averages on averages.as_of_date = blended.as_of_date
    )

select
    customer_id,
    as_of_date,
    persistence_value,
    empirical_bayes_value,
    {{ money("anchor") }} as anchor_value,
    round(ln(anchor / greatest(0.01E0, mean_value)), 9) as log_anchor_to_mean,
    {%- for days in [30, 90, 180, 365] %}
    cast(revenue_{{ days }}d as double) * {{ setting("horizon_days") }} / {{ days }}.0E0 / anchor
    as revenue_{{ days }}d_to_anchor,
    {%- endfor %}
    {%- for days in [15, 45, 120, 360] %}
    cast(decayed_revenue_{{ days }}d as double) * {{ setting("horizon_days") }} / {{ days }}.0E0 / anchor
    as decayed_revenue_{{ days }}d_to_anchor,
    {%- endfor %}
    cast(revenue_horizon_last_year as double) / anchor as revenue_horizon_last_year_to_anchor,
    cast(persistence_value as double) / anchor as persistence_to_anchor,
    cast(empirical_bayes_value as double) / anchor as empirical_bayes_to_anchor,
    avg_order_value / anchor as avg_order_value_to_anchor,
    cast(last_order_value as double) / anchor as last_order_value_to_anchor,
    std_order_value / nullif(avg_order_value, 0.0E0) as order_value_cv,
    build_hash
from anchored
