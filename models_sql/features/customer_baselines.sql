-- Grain: customer_id x as_of_date, for customers who ever bought. The baselines of record: estimates of
-- the horizon's revenue by formula from what was known on the date. BTYD ones are NULL until their
-- parameters were fitted.
with
    estimates as (select * from {{ ref("buyer_estimates") }} where {{ is_wanted("as_of_date") }}),

    simple as (
        select customer_id, as_of_date, simple_clv_estimate
        from {{ ref("customer_features") }}
        where {{ is_wanted("as_of_date") }}
    ),

    fitted as (select * from {{ ref("fitted_dates") }} where {{ is_wanted("as_of_date") }}),

    -- x, t_x and t as in the papers, in weeks
    known as (
        select
            estimates.*,
            estimates.repeats as x,
            estimates.recency_weeks as t_x,
            estimates.age_weeks as t,
            {{ setting("horizon_days") }} / 7.0e0 as horizon_weeks,
            fitted.bgnbd_r,
            fitted.bgnbd_alpha,
            fitted.bgnbd_a,
            fitted.bgnbd_b,
            fitted.paretonbd_r,
            fitted.paretonbd_alpha,
            fitted.paretonbd_s,
            fitted.paretonbd_beta,
            fitted.gammagamma_p,
            fitted.gammagamma_q,
            fitted.gammagamma_gamma,
            fitted.build_hash
        from estimates
        inner join fitted on fitted.as_of_date = estimates.as_of_date
    ),

    -- BG/NBD lets nobody leave before a repeat purchase; in a small shop a single purchase counts as one,
    -- else those long silent would set a floor that no silent customer is worth
    expected as (
        select
            known.*,
            clv_bgnbd_purchases(x, t_x, t, horizon_weeks, bgnbd_r, bgnbd_alpha, bgnbd_a, bgnbd_b) * case
                when is_small_shop and x = 0
                then clv_bgnbd_alive(x + 1.0e0, 0.0e0, t, bgnbd_r, bgnbd_alpha, bgnbd_a, bgnbd_b)
                else 1.0e0
            end as bgnbd_purchases,
            clv_paretonbd_purchases(
                x, t_x, t, horizon_weeks, paretonbd_r, paretonbd_alpha, paretonbd_s, paretonbd_beta
            ) as paretonbd_purchases,
            clv_paretonbd_alive(
                x, t_x, t, paretonbd_r, paretonbd_alpha, paretonbd_s, paretonbd_beta
            ) as alive_probability,
            coalesce(
                gammagamma_p
                * (gammagamma_gamma + spent)
                / nullif(gammagamma_p * orders + gammagamma_q - 1.0e0, 0.0e0),
                bayes_order_value
            ) as order_value
        from known
    ),

    averaged as (
        select
            expected.*,
            0.5e0 * (
                coalesce(bgnbd_purchases, paretonbd_purchases)
                + coalesce(paretonbd_purchases, bgnbd_purchases)
            ) as btyd_purchases
        from expected
    ),

    -- the customer as they are, and at least what the one they are compared with would be given
    compared as (
        select
            customer_id,
            as_of_date,
            build_hash,
            max(case when not is_comparison then persistence_value end) as persistence_value,
            max(persistence_value) as steady_value,
            max(bayes_purchases * bayes_order_value) as bayes_value,
            max(bgnbd_purchases * order_value) as bgnbd_value,
            max(paretonbd_purchases * order_value) as paretonbd_value,
            max(btyd_purchases * order_value) as btyd_value,
            max(case when not is_comparison then alive_probability end) as alive_probability,
            max(case when not is_comparison then coalesce(btyd_purchases, bayes_purchases) end) as purchases,
            max(case when not is_comparison then order_value end) as order_value
        from averaged
        group by customer_id, as_of_date, build_hash
    )

select
    compared.customer_id,
    compared.as_of_date,
    simple.simple_clv_estimate as simple_value,
    compared.persistence_value,
    {{ money("compared.bayes_value") }} as empirical_bayes_value,
    {{ money("compared.bgnbd_value") }} as bgnbd_value,
    {{ money("compared.paretonbd_value") }} as paretonbd_value,
    {{ money("compared.btyd_value") }} as btyd_value,
    {{ money("coalesce(compared.btyd_value, compared.bayes_value)") }} as probabilistic_value,
    greatest(compared.steady_value, 0) as steady_value,
    cast(compared.alive_probability as double) as alive_probability,
    round(ln(greatest({{ smallest_purchases() }}, compared.purchases)), 9) as log_expected_purchases,
    {{ money("compared.order_value") }} as expected_order_value,
    compared.build_hash
from compared
inner join simple on simple.customer_id = compared.customer_id and simple.as_of_date = compared.as_of_date
