-- Grain: one row per as_of_date: what all customers together are expected to spend in the horizon. Where the
-- level starts and what the season says stands in `level_evidence`. What neither explains is learned from
-- the last three dates whose answers are known: what came beyond start and season, each times the shop's
-- age then over its age now, since a young shop misses in a way of its own.
{{ config(materialized="table") }}

with
    totals as (select * from {{ ref("shop_totals") }}),

    dates as (select * from {{ ref("as_of_dates") }}),

    misses as (select * from {{ ref("level_misses") }}),

    fitted as (select * from {{ ref("fitted_dates") }}),

    evidence as (
        select
            level_evidence.*,
            log_start + greatest(
                -{{ largest_log_correction() }}, least({{ largest_log_correction() }}, log_season)
            ) as log_expected
        from {{ ref("level_evidence") }} as level_evidence
    ),

    recent as (
        select
            misses.as_of_date,
            (misses.probabilistic_miss - evidence.log_expected)
            * ({{ ratio("earlier.shop_age_days", "dates.shop_age_days") }}) as level_miss,
            row_number() over (
                partition by misses.as_of_date order by misses.missed_on desc nulls last
            ) as newest_first
        from misses
        inner join evidence on evidence.as_of_date = misses.missed_on
        inner join dates on dates.as_of_date = misses.as_of_date
        inner join dates as earlier on earlier.as_of_date = misses.missed_on
    ),

    -- in billionths, so that sums are exact
    summed as (
        select
            as_of_date,
            count(*) as date_count,
            sum({{ whole("level_miss * 1000000000.0E0") }}) as level_misses
        from recent
        where newest_first <= {{ misses_learned_from() }}
        group by as_of_date
    ),

    learned as (
        select as_of_date, {{ ratio("level_misses", "date_count") }} / 1000000000.0e0 as log_miss from summed
    ),

    corrected as (
        select
            totals.*,
            evidence.level_persistence_weight,
            round(
                evidence.log_start + greatest(
                    -{{ largest_log_correction() }},
                    least(
                        {{ largest_log_correction() }},
                        evidence.log_season + evidence.unexplained_share * coalesce(learned.log_miss, 0.0e0)
                    )
                ),
                9
            ) as log_correction
        from totals
        inner join evidence on evidence.as_of_date = totals.as_of_date
        left join learned on learned.as_of_date = totals.as_of_date
    ),

    levels as (
        select corrected.*, {{ money("probabilistic_total * round(exp(log_correction), 9)") }} as level_value
        from corrected
    )

select
    levels.as_of_date,
    levels.customer_count,
    levels.persistence_total,
    levels.probabilistic_total,
    levels.is_fitted,
    levels.level_persistence_weight,
    levels.log_correction,
    levels.level_value,
    levels.actual_total,
    {{ build_hash(["fitted.build_hash", "cast(levels.level_value as string)"]) }} as build_hash
from levels
inner join fitted on fitted.as_of_date = levels.as_of_date
