-- Grain: customer_id x as_of_date, for customers who ever bought. The baselines of record: estimates of the
-- horizon's
-- revenue by formula from what was known on the date. BTYD ones are NULL until their parameters were fitted.
with
    purchases as (
        select * from {{ ref("customer_rfm") }} where {{ is_wanted("as_of_date") }} and total_purchases > 0
    ),

    simple as (
        select customer_id, as_of_date, simple_clv_estimate
        from {{ ref("customer_features") }}
        where {{ is_wanted("as_of_date") }}
    ),

    dates as (select * from {{ ref("as_of_dates") }}),

    fitted as (select * from {{ ref("fitted_dates") }} where {{ is_wanted("as_of_date") }}),

    counted as (
        select
            purchases.*,
            purchases.total_purchases - 1 as repeats,
            purchases.days_since_first_purchase as exposure_days,
            least(365, greatest(1, dates.shop_age_days)) as history_days,
            (purchases.total_purchases - 1)
            * purchases.std_order_value
            * purchases.std_order_value as order_spread
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
            sum(
                {{ whole("10000.0E0 * total_purchases * avg_order_value * avg_order_value") }}
            ) as mean_squares
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
            {{ ratio("within_squares", "orders - n") }} / 10000.0e0 as within_variance,
            cast(mean_squares as double) / 10000.0e0 as mean_squares
        from sums
    ),

    variances as (
        select
            moments.*,
            (xx - 2.0e0 * mean_rate * xt + mean_rate * mean_rate * tt - mean_rate * t)
            / nullif(tt, 0.0e0) as rate_variance,
            (mean_squares - orders * mean_order * mean_order - (n - 1) * within_variance)
            / nullif(orders - mean_weight, 0.0e0) as between_variance
        from moments
    ),

    -- gamma prior of the rate in days of exposure, credibility of the order value in orders; NULL: no
    -- spread between
    -- customers beyond chance, so everybody gets the mean
    priors as (
        select
            as_of_date,
            n,
            coalesce(mean_rate, 0.0e0) as mean_rate,
            case when rate_variance > 0 then mean_rate / rate_variance end as prior_days,
            mean_order,
            case
                when within_variance is null
                then 1.0e0
                when between_variance > 0
                then within_variance / between_variance
            end as prior_orders
        from variances
    ),

    -- Everybody twice: as they are, and (`once_`) as a customer of the same recency and mean order value
    -- after a single
    -- purchase would be, which in a small shop is the least that anybody who bought more is given. BG/NBD
    -- lets nobody leave
    -- before a repeat purchase; for this comparison a single purchase counts as one, else those long silent
    -- would set a floor
    -- that no silent customer is worth.
    {%- set order_value = ratio("counted.total_revenue", "counted.total_purchases") %}
    estimated as (
        select
            counted.*,
            priors.n < {{ setting("small_shop_customers") }} as is_small_shop,
            {%- for who, revenue in [("", "counted.revenue_365d"), ("once_", order_value)] %}
                {{ money(revenue ~ " * (" ~ setting("horizon_days") ~ ".0E0 / counted.history_days)") }}
                as {{ who }}persistence_value,
            {%- endfor %}
            {%- for who, repeats, exposure_days, orders, revenue in [
                ("", "counted.repeats", "counted.exposure_days", "counted.total_purchases", "counted.total_revenue"),
                ("once_", "0.0E0", "counted.days_since_last_purchase", "1.0E0", order_value)
            ] %}
                coalesce(
                    (priors.mean_rate * priors.prior_days + {{ repeats }})
                    / (priors.prior_days + {{ exposure_days }}),
                    priors.mean_rate
                )
                * {{ setting("horizon_days") }} as {{ who }}bayes_purchases,
                greatest(
                    0.0e0,
                    coalesce(
                        (priors.mean_order * priors.prior_orders + {{ revenue }})
                        / (priors.prior_orders + {{ orders }}),
                        priors.mean_order
                    )
                ) as {{ who }}bayes_order_value,
                greatest(0.0e0, cast({{ revenue }} as double)) as {{ who }}spent,
                cast({{ orders }} as double) as {{ who }}orders,
            {%- endfor %}
            cast(counted.repeats as double) as x,
            (counted.days_since_first_purchase - counted.days_since_last_purchase) / 7.0e0 as recency_weeks,
            counted.days_since_first_purchase / 7.0e0 as age_weeks,
            case when priors.n < {{ setting("small_shop_customers") }} then 0.0e0 end as once_x,
            0.0e0 as once_recency_weeks,
            counted.days_since_last_purchase / 7.0e0 as once_age_weeks
        from counted
        inner join priors on priors.as_of_date = counted.as_of_date
    ),

    expected as (
        select
            estimated.*,
            fitted.build_hash as fitted_hash,
            {%- for who in ["", "once_"] %}
                clv_bgnbd_purchases(
                    {{ who }}x,
                    {{ who }}recency_weeks,
                    {{ who }}age_weeks,
                    {{ setting("horizon_days") }} / 7.0e0,
                    fitted.bgnbd_r,
                    fitted.bgnbd_alpha,
                    fitted.bgnbd_a,
                    fitted.bgnbd_b
                ) * case
                    when {{ who }}x = once_x
                    then
                        clv_bgnbd_alive(
                            once_x + 1.0e0,
                            0.0e0,
                            once_age_weeks,
                            fitted.bgnbd_r,
                            fitted.bgnbd_alpha,
                            fitted.bgnbd_a,
                            fitted.bgnbd_b
                        )
                    else 1.0e0
                end as {{ who }}bgnbd_purchases,
                clv_paretonbd_purchases(
                    {{ who }}x,
                    {{ who }}recency_weeks,
                    {{ who }}age_weeks,
                    {{ setting("horizon_days") }} / 7.0e0,
                    fitted.paretonbd_r,
                    fitted.paretonbd_alpha,
                    fitted.paretonbd_s,
                    fitted.paretonbd_beta
                ) as {{ who }}paretonbd_purchases,
                coalesce(
                    fitted.gammagamma_p
                    * (fitted.gammagamma_gamma + {{ who }}spent)
                    / nullif(fitted.gammagamma_p * {{ who }}orders + fitted.gammagamma_q - 1.0e0, 0.0e0),
                    {{ who }}bayes_order_value
                ) as {{ who }}gammagamma_order_value,
            {%- endfor %}
            clv_paretonbd_alive(
                x,
                recency_weeks,
                age_weeks,
                fitted.paretonbd_r,
                fitted.paretonbd_alpha,
                fitted.paretonbd_s,
                fitted.paretonbd_beta
            ) as alive_probability
        from estimated
        inner join fitted on fitted.as_of_date = estimated.as_of_date
    ),

    averaged as (
        select
            expected.*,
            {%- for who in ["", "once_"] %}
                0.5e0 * (
                    coalesce({{ who }}bgnbd_purchases, {{ who }}paretonbd_purchases)
                    + coalesce({{ who }}paretonbd_purchases, {{ who }}bgnbd_purchases)
                ) as {{ who }}btyd_purchases{{ "," if not loop.last }}
            {%- endfor %}
        from expected
    )

select
    expected.customer_id,
    expected.as_of_date,
    simple.simple_clv_estimate as simple_value,
    expected.persistence_value,
    {%- set btyd = at_least_once("btyd_purchases", "gammagamma_order_value") %}
    {%- set bayes = at_least_once("bayes_purchases", "bayes_order_value") %}
    {{ money(bayes) }} as empirical_bayes_value,
    {{ money(at_least_once("bgnbd_purchases", "gammagamma_order_value")) }} as bgnbd_value,
    {{ money(at_least_once("paretonbd_purchases", "gammagamma_order_value")) }} as paretonbd_value,
    {{ money(btyd) }} as btyd_value,
    {{ money("coalesce(" ~ btyd ~ ", " ~ bayes ~ ")") }} as probabilistic_value,
    greatest(
        expected.persistence_value,
        case
            when expected.is_small_shop and expected.days_since_last_purchase < 365
            then expected.once_persistence_value
            else 0
        end,
        0
    ) as steady_value,
    cast(expected.alive_probability as double) as alive_probability,
    round(
        ln(greatest(0.000001e0, coalesce(expected.btyd_purchases, expected.bayes_purchases))), 9
    ) as log_expected_purchases,
    {{ money("expected.gammagamma_order_value") }} as expected_order_value,
    expected.fitted_hash as build_hash
from averaged as expected
inner join simple on simple.customer_id = expected.customer_id and simple.as_of_date = expected.as_of_date
