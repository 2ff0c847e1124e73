-- Grain: customer_id x as_of_date, for customers who ever bought. The anchor that the model multiplies:
-- persistence and the probabilistic estimate, each scaled to the shop's level, weighted as
-- `anchor_weights` says; and the customer's spend relative to it, before the level's correction: else
-- each date's expected season would show in the ratios of all.
with
    purchases as (
        select * from {{ ref("customer_rfm") }} where {{ is_wanted("as_of_date") }} and total_purchases > 0
    ),

    baselines as (select * from {{ ref("customer_baselines") }} where {{ is_wanted("as_of_date") }}),

    levels as (select * from {{ ref("shop_levels") }} where {{ is_wanted("as_of_date") }}),

    weights as (select * from {{ ref("anchor_weights") }} where {{ is_wanted("as_of_date") }}),

    scaled as (
        select
            baselines.*,
            weights.build_hash as weight_hash,
            weights.persistence_weight,
            round(exp(levels.log_correction), 9) as correction,
            cast(levels.level_value as double) / levels.customer_count as mean_value,
            coalesce(
                cast(baselines.steady_value as double)
                * (cast(levels.level_value as double) / nullif(levels.persistence_total, 0.0e0)),
                0.0e0
            ) as persistence_part,
            coalesce(
                cast(baselines.last_year_value as double)
                * (cast(levels.level_value as double) / nullif(levels.persistence_total, 0.0e0)),
                0.0e0
            ) as last_year_part,
            coalesce(
                cast(baselines.probabilistic_value as double)
                * (cast(levels.level_value as double) / nullif(levels.probabilistic_total, 0.0e0)),
                0.0e0
            ) as probabilistic_part
        from baselines
        inner join levels on levels.as_of_date = baselines.as_of_date
        inner join weights on weights.as_of_date = baselines.as_of_date
    ),

    -- a little of the mean for everybody keeps every ratio finite
    anchored as (
        select
            scaled.*,
            {{ money(
                "greatest(" ~ smallest_value() ~ ", " ~ anchor_estimate_share()
                ~ " * (persistence_weight * persistence_part + (1.0E0 - persistence_weight) * probabilistic_part)"
                ~ " + " ~ anchor_mean_share() ~ " * mean_value)"
            ) }}
            as anchor_value
        from scaled
    ),

    rows_with_anchor as (
        select
            purchases.*,
            anchored.weight_hash,
            anchored.anchor_value,
            cast(anchored.anchor_value as double) as anchor,
            anchored.correction,
            greatest({{ smallest_value() }}, anchored.mean_value) as mean_value,
            {{ money(anchor_estimate_share() ~ " * anchored.persistence_weight * anchored.last_year_part") }}
            as anchor_persistence,
            {{ money(
                anchor_estimate_share() ~ " * (anchored.persistence_weight * (anchored.persistence_part - anchored.last_year_part)"
                ~ " + (1.0E0 - anchored.persistence_weight) * anchored.probabilistic_part)"
            ) }}
            as anchor_probabilistic,
            anchored.persistence_value,
            anchored.empirical_bayes_value,
            anchored.probabilistic_value
        from purchases
        inner join
            anchored
            on anchored.customer_id = purchases.customer_id
            and anchored.as_of_date = purchases.as_of_date
    )

select
    customer_id,
    as_of_date,
    anchor_value,
    {{ money("mean_value") }} as anchor_level,
    anchor_persistence,
    anchor_probabilistic,
    round(ln(anchor / mean_value), 9) as log_anchor_to_mean,
    {{ pace_to_anchor("revenue_30d", 30) }} as revenue_30d_to_anchor,
    {{ pace_to_anchor("revenue_90d", 90) }} as revenue_90d_to_anchor,
    {{ pace_to_anchor("revenue_180d", 180) }} as revenue_180d_to_anchor,
    {{ pace_to_anchor("revenue_365d", 365) }} as revenue_365d_to_anchor,
    {{ pace_to_anchor("decayed_revenue_15d", 15) }} as decayed_revenue_15d_to_anchor,
    {{ pace_to_anchor("decayed_revenue_45d", 45) }} as decayed_revenue_45d_to_anchor,
    {{ pace_to_anchor("decayed_revenue_120d", 120) }} as decayed_revenue_120d_to_anchor,
    {{ pace_to_anchor("decayed_revenue_360d", 360) }} as decayed_revenue_360d_to_anchor,
    cast(revenue_horizon_last_year as double) / anchor * correction as revenue_horizon_last_year_to_anchor,
    cast(persistence_value as double) / anchor * correction as persistence_to_anchor,
    cast(empirical_bayes_value as double) / anchor * correction as empirical_bayes_to_anchor,
    cast(probabilistic_value as double) / anchor * correction as probabilistic_to_anchor,
    avg_order_value / anchor * correction as avg_order_value_to_anchor,
    cast(last_order_value as double) / anchor * correction as last_order_value_to_anchor,
    std_order_value / nullif(avg_order_value, 0.0e0) as order_value_cv,
    weight_hash as build_hash
from rows_with_anchor
