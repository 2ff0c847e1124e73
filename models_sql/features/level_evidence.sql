-- Grain: one row per as_of_date: where the shop's level starts, and what evidence of the season moves it. It
-- starts from a geometric mean of the probabilistic and the persistence total; each weighs the more the less
-- it usually missed where the answer was known. That is corrected by how far it would have been off in the
-- window one year earlier, as far as that is known and was made from a long enough history, and for the rest
-- by the season in the shop's own repeat revenue, as far as the shop was steady over the year.
{{ config(materialized="view") }}

with
    totals as (select * from {{ ref("shop_totals") }}),

    misses as (select * from {{ ref("level_misses") }}),

    seasons as (select * from {{ ref("shop_seasons") }}),

    -- in billionths, so that sums are exact; sizes, not squares: one date of a shop of a few weeks may be
    -- off by any factor
    sizes as (
        select
            as_of_date,
            count(*) as date_count,
            sum({{ whole("abs(probabilistic_miss) * 1000000000.0E0") }}) as probabilistic_sizes,
            sum({{ whole("abs(persistence_miss) * 1000000000.0E0") }}) as persistence_sizes
        from misses
        group by as_of_date
    ),

    usual_misses as (
        select
            as_of_date,
            {{ ratio("probabilistic_sizes", "date_count") }} / 1000000000.0e0 as probabilistic_miss,
            {{ ratio("persistence_sizes", "date_count") }} / 1000000000.0e0 as persistence_miss
        from sizes
    ),

    -- on top of what they did miss, both estimates are taken to miss by another 30 % or so: few dates say
    -- little
    errors as (
        select
            as_of_date,
            {{ unseen_squared_miss() }} + probabilistic_miss * probabilistic_miss as probabilistic_error,
            {{ unseen_squared_miss() }} + persistence_miss * persistence_miss as persistence_error
        from usual_misses
    ),

    bases as (
        select
            totals.*,
            case
                when totals.log_persistence_ratio is null or errors.as_of_date is null
                then 0.0e0
                else
                    round(
                        errors.probabilistic_error / (errors.probabilistic_error + errors.persistence_error),
                        9
                    )
            end as level_persistence_weight
        from totals
        left join errors on errors.as_of_date = totals.as_of_date
    ),

    -- what today's weights would have missed a year ago
    year_ago as (
        select
            misses.as_of_date,
            misses.trust,
            (1.0e0 - bases.level_persistence_weight) * misses.probabilistic_miss
            + bases.level_persistence_weight * misses.persistence_miss as log_miss
        from misses
        inner join bases on bases.as_of_date = misses.as_of_date
        where misses.is_nearest_a_year and misses.days_from_a_year <= {{ days_off_a_year() }}
    )

-- each kind of evidence takes its share of what the one before it left
select
    bases.as_of_date,
    bases.level_persistence_weight,
    -- a zero without a sign
    round(bases.level_persistence_weight * coalesce(bases.log_persistence_ratio, 0.0e0), 9)
    + 0.0e0 as log_start,
    round(
        coalesce(year_ago.trust * year_ago.log_miss, 0.0e0)
        + (1.0e0 - coalesce(year_ago.trust, 0.0e0))
        * coalesce(seasons.steadiness * seasons.log_season, 0.0e0),
        9
    ) as log_season,
    round(
        (1.0e0 - coalesce(year_ago.trust, 0.0e0))
        * (1.0e0 - case when seasons.log_season is null then 0.0e0 else seasons.steadiness end),
        9
    ) as unexplained_share
from bases
left join year_ago on year_ago.as_of_date = bases.as_of_date
left join seasons on seasons.as_of_date = bases.as_of_date
