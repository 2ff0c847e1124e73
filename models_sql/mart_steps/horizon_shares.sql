-- Grain: customer_id x as_of_date x horizon_days, for customers who ever bought: what share of the
-- money of horizon_days the formulas expect within so many days by season (above 1 beyond it), and by
-- how much the odds of an order differ. An estimate for horizon_days times its share is one for any
-- horizon.
{{ config(materialized="view" if target.type == "duckdb" else "table") }}
{% set main = setting("horizon_days") %}
{% set of_main = "over (partition by customer_id, as_of_date)" %}
{% set up_to_here = "over (partition by pieces.customer_id, pieces.as_of_date order by pieces.horizon_days nulls last rows unbounded preceding)" %}
{% set told = ["bgnbd_purchases", "paretonbd_purchases", "btyd_purchases", "log_buying_odds"] %}

with
    expected as (select * from {{ ref("expected_purchases") }} where not is_comparison),

    seasons as (select * from {{ ref("horizon_seasons") }}),

    mixed as (
        select
            expected.*,
            coalesce(btyd_purchases, bayes_purchases) as other_purchases,
            coalesce(regular_share * renewal_purchases, 0.0e0)
            + case when renewal_purchases is null then 1.0e0 else 1.0e0 - regular_share end
            * coalesce(btyd_purchases, bayes_purchases) as purchases
        from expected
    ),

    chances as (
        select
            mixed.*,
            {{ log_odds(
                "(coalesce(regular_share * renewal_chance, 0.0e0) + (1.0e0 - coalesce(regular_share, 0.0e0))"
                ~ " * other_purchases / (1.0e0 + other_purchases))"
            ) }} as log_buying_odds
        from mixed
    ),

    pieces as (
        select
            chances.*,
            {%- for name in told %}
                max(case when horizon_days = {{ main }} then {{ name }} end) {{ of_main }} as main_{{ name }},
            {%- endfor %}
            greatest(
                0.0e0,
                purchases - coalesce(
                    lag(purchases) over (
                        partition by customer_id, as_of_date order by horizon_days nulls last
                    ),
                    0.0e0
                )
            ) as added_purchases
        from chances
    ),

    -- an ordinary day's purchases, as many as the season lets come, in what they are worth on the date
    seasonal as (
        select
            pieces.*,
            seasons.days_share,
            seasons.days_share / (pieces.horizon_days / {{ main }}.0e0) as worth_to_main,
            sum(
                pieces.added_purchases * seasons.present_worth * seasons.season_weight
            ) {{ up_to_here }} as seasonal_purchases
        from pieces
        inner join
            seasons on seasons.as_of_date = pieces.as_of_date and seasons.horizon_days = pieces.horizon_days
    ),

    compared as (
        select
            seasonal.*,
            max(
                case when horizon_days = {{ main }} then seasonal_purchases end
            ) {{ of_main }} as main_seasonal_purchases
        from seasonal
    )

select
    customer_id,
    as_of_date,
    horizon_days,
    {%- for name, share in [
        ("seasonal_purchases", "expected_share"),
        ("bgnbd_purchases", "bgnbd_share"),
        ("paretonbd_purchases", "paretonbd_share"),
        ("btyd_purchases", "btyd_share"),
    ] %}
        round(
            coalesce(
                {{ name }} / nullif(greatest(0.0e0, main_{{ name }}), 0.0e0)
                {{- " * worth_to_main" if not loop.first }},
                days_share
            ),
            9
        ) as {{ share }},
    {%- endfor %}
    days_share,
    log_buying_odds - main_log_buying_odds as log_odds_beyond,
    build_hash
from compared
