-- Grain: one row per as_of_date: how much of the anchor is persistence; the rest is the probabilistic
-- estimate. Half the weight that would have been best on the dates whose answers were known by then, and
-- a quarter where there are none. Best: weighted least squares of each customer's share of the shop's
-- total, with weights 1 / expected share.
{{ config(materialized="table") }}

with
    dates as (select * from {{ ref("as_of_dates") }}),

    levels as (select * from {{ ref("shop_levels") }}),

    baselines as (select * from {{ ref("customer_baselines") }}),

    labels as (select * from {{ ref("customer_labels") }}),

    shares as (
        select
            levels.as_of_date,
            {{ ratio("baselines.steady_value", "levels.persistence_total") }} as persistence_share,
            {{ ratio("baselines.probabilistic_value", "levels.probabilistic_total") }} as probabilistic_share,
            {{ ratio("labels.label_revenue", "levels.actual_total") }} as actual_share,
            {{ anchor_mean_share() }} / levels.customer_count as least_share
        from levels
        inner join baselines on baselines.as_of_date = levels.as_of_date
        inner join
            labels on labels.customer_id = baselines.customer_id and labels.as_of_date = baselines.as_of_date
        where levels.persistence_total > 0 and levels.probabilistic_total > 0 and levels.actual_total > 0
    ),

    weighed as (
        select
            shares.*,
            persistence_share - probabilistic_share as difference,
            1.0e0 / greatest(least_share, 0.5e0 * (persistence_share + probabilistic_share)) as weight
        from shares
    ),

    -- in millionths of millionths, so that sums are exact
    fits as (
        select
            as_of_date,
            sum(
                {{ whole("weight * difference * (actual_share - probabilistic_share) * 1000000000000.0E0") }}
            ) as explained,
            sum({{ whole("weight * difference * difference * 1000000000000.0E0") }}) as varied
        from weighed
        group by as_of_date
    ),

    known_fits as (
        select
            levels.as_of_date,
            count(*) as date_count,
            sum(fits.explained) as explained,
            sum(fits.varied) as varied
        from levels
        inner join levels as earlier on earlier.is_fitted = levels.is_fitted
        inner join fits on fits.as_of_date = earlier.as_of_date
        inner join
            dates on dates.as_of_date = earlier.as_of_date and dates.label_known_at <= levels.as_of_date
        group by levels.as_of_date
    ),

    weights as (
        select
            levels.as_of_date,
            levels.build_hash,
            coalesce(known_fits.date_count, 0) as date_count,
            round(
                {{ best_weight_kept() }} * case
                    when known_fits.varied > 0
                    then
                        greatest(
                            0.0e0, least(1.0e0, {{ ratio("known_fits.explained", "known_fits.varied") }})
                        )
                    else {{ best_weight_unknown() }}
                end,
                6
            ) as persistence_weight
        from levels
        left join known_fits on known_fits.as_of_date = levels.as_of_date
    )

select
    as_of_date,
    cast(date_count as int) as known_date_count,
    persistence_weight,
    {{ build_hash(["weights.build_hash", "cast(cast(persistence_weight as decimal(7, 6)) as string)"]) }}
    as build_hash
from weights
