-- Grain: customer_id x as_of_date, for customers who ever bought. The baselines of record: estimates of
-- the horizon's revenue by formula from what was known on the date. BTYD ones are NULL until their
-- parameters were fitted.
-- depends_on: {{ ref("fitted_dates") }}
{% set today = discount_factor() %}

with
    expected as (
        select *
        from {{ ref("expected_purchases") }}
        where {{ is_wanted("as_of_date") }} and horizon_days = {{ setting("horizon_days") }}
    ),

    simple as (
        select customer_id, as_of_date, simple_clv_estimate
        from {{ ref("customer_features") }}
        where {{ is_wanted("as_of_date") }}
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
            max(case when not is_comparison then order_value end) as order_value,
            max(case when not is_comparison then bayes_purchases end) as pace,
            max(regular_share) as regular_share,
            max(coalesce(clock_share, 0.0e0)) as clock_share,
            max(renewal_purchases) as renewal_purchases,
            max(renewal_chance) as renewal_chance
        from expected
        group by customer_id, as_of_date, build_hash
    ),

    -- the clock as surely as the customer buys by it, and for the rest what others are given. Last year's
    -- spend says nothing of who kept to a clock and has stopped
    mixed as (
        select
            compared.*,
            regular_share * renewal_purchases * order_value
            + (1.0e0 - regular_share) * coalesce(btyd_value, bayes_value) as renewal_value,
            coalesce(clock_share * renewal_purchases * order_value, 0.0e0)
            + (1.0e0 - clock_share) * greatest(steady_value, 0) as steadied_value,
            (1.0e0 - clock_share) * greatest(steady_value, 0) as last_year_value,
            coalesce(regular_share * renewal_chance, 0.0e0)
            + (1.0e0 - coalesce(regular_share, 0.0e0)) * purchases / (1.0e0 + purchases) as buying_chance
        from compared
    )

select
    mixed.customer_id,
    mixed.as_of_date,
    simple.simple_clv_estimate as simple_value,
    {{ money("mixed.persistence_value * " ~ today) }} as persistence_value,
    {{ money("mixed.bayes_value * " ~ today) }} as empirical_bayes_value,
    {{ money("mixed.bgnbd_value * " ~ today) }} as bgnbd_value,
    {{ money("mixed.paretonbd_value * " ~ today) }} as paretonbd_value,
    {{ money("mixed.btyd_value * " ~ today) }} as btyd_value,
    {{ money("mixed.renewal_value * " ~ today) }} as renewal_value,
    {{ money("coalesce(mixed.renewal_value, mixed.btyd_value, mixed.bayes_value) * " ~ today) }}
    as probabilistic_value,
    {{ money("mixed.steadied_value * " ~ today) }} as steady_value,
    {{ money("mixed.last_year_value * " ~ today) }} as last_year_value,
    cast(mixed.alive_probability as double) as alive_probability,
    {{ log_odds("mixed.buying_chance") }} as log_buying_odds,
    {{ money("mixed.order_value") }} as expected_order_value,
    round(mixed.pace, 9) as expected_pace,
    mixed.build_hash
from mixed
inner join simple on simple.customer_id = mixed.customer_id and simple.as_of_date = mixed.as_of_date
