-- Grain: customer_id x as_of_date x is_comparison x horizon_days: the purchases that each formula expects in
-- the horizon, for horizon_days and every day count of the setting horizons. BTYD ones are NULL until their
-- parameters were fitted, which a dbt without the plugin waits for too. A table on Spark, whose views call no
-- function of a session.
{{ config(materialized="view" if target.type == "duckdb" else "table") }}

with
    buyers as (select * from {{ ref("fitted_buyers") }}),

    horizons as (
        {% for days in all_horizons() -%}
            select cast({{ days }} as int) as horizon_days {{ "union all" if not loop.last }}
        {% endfor %}
    ),

    -- BG/NBD lets nobody leave before a repeat purchase; in a small shop a single purchase counts as one,
    -- else those long silent would set a floor that no silent customer is worth
    expected as (
        select
            buyers.*,
            horizons.horizon_days,
            {% if formulas_are_here() %}
                clv_bgnbd_purchases(
                    x,
                    t_x,
                    t,
                    horizons.horizon_days / 7.0e0,
                    bgnbd_r,
                    bgnbd_alpha,
                    bgnbd_a,
                    bgnbd_b
                ) * case
                    when is_small_shop and x = 0
                    then clv_bgnbd_alive(x + 1.0e0, 0.0e0, t, bgnbd_r, bgnbd_alpha, bgnbd_a, bgnbd_b)
                    else 1.0e0
                end as bgnbd_purchases,
                clv_paretonbd_purchases(
                    x,
                    t_x,
                    t,
                    horizons.horizon_days / 7.0e0,
                    paretonbd_r,
                    paretonbd_alpha,
                    paretonbd_s,
                    paretonbd_beta
                ) as paretonbd_purchases,
                clv_paretonbd_alive(
                    x, t_x, t, paretonbd_r, paretonbd_alpha, paretonbd_s, paretonbd_beta
                ) as alive_probability,
                clv_renewal_purchases(
                    x,
                    silent_days,
                    cast(horizons.horizon_days as double),
                    log_gap,
                    log_gap_std,
                    renewal_a,
                    renewal_b
                ) as renewal_purchases,
                clv_renewal_chance(
                    x,
                    silent_days,
                    cast(horizons.horizon_days as double),
                    log_gap,
                    log_gap_std,
                    renewal_a,
                    renewal_b
                ) as renewal_chance,
            {% else %}
                {%- for name in ["bgnbd_purchases", "paretonbd_purchases", "alive_probability", "renewal_purchases", "renewal_chance"] %}
                    cast(null as double) as {{ name }},
                {%- endfor %}
            {% endif %}
            horizons.horizon_days / {{ setting("horizon_days") }}.0e0 as share_of_days,
            coalesce(
                gammagamma_p
                * (gammagamma_gamma + spent)
                / nullif(gammagamma_p * orders + gammagamma_q - 1.0e0, 0.0e0),
                bayes_order_value
            ) as order_value
        from buyers
        cross join horizons
    )

select
    customer_id,
    as_of_date,
    is_comparison,
    horizon_days,
    {{ money("persistence_value * share_of_days") }} as persistence_value,
    bayes_purchases * share_of_days as bayes_purchases,
    bayes_order_value,
    bgnbd_purchases,
    paretonbd_purchases,
    0.5e0 * (
        coalesce(bgnbd_purchases, paretonbd_purchases) + coalesce(paretonbd_purchases, bgnbd_purchases)
    ) as btyd_purchases,
    alive_probability,
    regular_share,
    clock_share,
    renewal_purchases,
    renewal_chance,
    order_value,
    build_hash
from expected
