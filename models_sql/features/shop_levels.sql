-- Grain: one row per as_of_date: what all customers together are expected to spend in the horizon. The
-- level starts from a
-- geometric mean of the probabilistic and the persistence total; each weighs the more the less it usually
-- missed where the
-- answer was known. That is corrected by how far it would have been off in the window one year earlier, as
-- far as that is
-- known and was made from a long enough history, and for the rest by the season in the shop's own repeat
-- revenue, as far as
-- the shop was steady over the year.
{{ config(materialized="table") }}

with
    dates as (select * from {{ ref("as_of_dates") }}),

    fitted as (select * from {{ ref("fitted_dates") }}),

    baselines as (select * from {{ ref("customer_baselines") }}),

    seasons as (select * from {{ ref("shop_seasons") }}),

    labels as (select * from {{ ref("customer_labels") }}),

    expected as (
        select
            as_of_date,
            count(*) as customer_count,
            cast(sum(steady_value) as double) as persistence_total,
            cast(sum(probabilistic_value) as double) as probabilistic_total,
            round(
                ln({{ ratio("nullif(sum(steady_value), 0)", "sum(probabilistic_value)") }}), 9
            ) as log_persistence_ratio,
            count(btyd_value) > 0 as is_fitted
        from baselines
        group by as_of_date
    ),

    happened as (
        select labels.as_of_date, cast(sum(labels.label_revenue) as double) as actual_total
        from labels
        inner join
            baselines
            on baselines.customer_id = labels.customer_id
            and baselines.as_of_date = labels.as_of_date
        group by labels.as_of_date
    ),

    misses as (
        select
            dates.as_of_date,
            dates.label_known_at,
            expected.is_fitted,
            round(ln(happened.actual_total / expected.probabilistic_total), 9) as probabilistic_miss,
            expected.log_persistence_ratio,
            cast(dates.shop_age_days as double) / (dates.shop_age_days + 90.0e0) as trust
        from dates
        inner join expected on expected.as_of_date = dates.as_of_date
        inner join happened on happened.as_of_date = dates.as_of_date
        where happened.actual_total > 0 and expected.log_persistence_ratio is not null
    ),

    -- misses whose answer was known by the date: of the same kind of estimate where there are any, else of
    -- the other kind
    ever_known as (
        select
            dates.as_of_date,
            misses.trust,
            misses.probabilistic_miss,
            misses.probabilistic_miss - misses.log_persistence_ratio as persistence_miss,
            misses.as_of_date as missed_on,
            abs({{ days_between("misses.as_of_date", "dates.as_of_date") }} - 365) as days_from_a_year,
            rank() over (
                partition by dates.as_of_date
                order by case when misses.is_fitted = expected.is_fitted then 0 else 1 end nulls last
            ) as same_kind_first
        from dates
        inner join expected on expected.as_of_date = dates.as_of_date
        inner join misses on misses.label_known_at <= dates.as_of_date
    ),

    known_misses as (
        select
            *,
            row_number() over (
                partition by as_of_date order by days_from_a_year nulls last, missed_on desc nulls last
            ) as nearest_a_year_first
        from ever_known
        where same_kind_first = 1
    ),

    -- in billionths, so that sums are exact; sizes, not squares: one date of a shop of a few weeks may be
    -- off by any factor
    sizes as (
        select
            as_of_date,
            count(*) as date_count,
            sum({{ whole("abs(probabilistic_miss) * 1000000000.0E0") }}) as probabilistic_sizes,
            sum({{ whole("abs(persistence_miss) * 1000000000.0E0") }}) as persistence_sizes
        from known_misses
        group by as_of_date
    ),

    usual_misses as (
        select
            as_of_date,
            {{ ratio("probabilistic_sizes", "date_count") }} / 1000000000.0e0 as probabilistic_miss,
            {{ ratio("persistence_sizes", "date_count") }} / 1000000000.0e0 as persistence_miss
        from sizes
    ),

    -- beside what they did miss, both estimates are taken to miss by another 30 % or so: few dates say little
    errors as (
        select
            as_of_date,
            0.1e0 + probabilistic_miss * probabilistic_miss as probabilistic_error,
            0.1e0 + persistence_miss * persistence_miss as persistence_error
        from usual_misses
    ),

    bases as (
        select
            expected.as_of_date,
            expected.log_persistence_ratio,
            case
                when expected.log_persistence_ratio is null or errors.as_of_date is null
                then 0.0e0
                else
                    round(
                        errors.probabilistic_error / (errors.probabilistic_error + errors.persistence_error),
                        9
                    )
            end as level_persistence_weight
        from expected
        left join errors on errors.as_of_date = expected.as_of_date
    ),

    -- what today's weights would have missed a year ago
    year_ago as (
        select
            known_misses.as_of_date,
            known_misses.trust,
            (1.0e0 - bases.level_persistence_weight) * known_misses.probabilistic_miss
            + bases.level_persistence_weight * known_misses.persistence_miss as log_miss
        from known_misses
        inner join bases on bases.as_of_date = known_misses.as_of_date
        where known_misses.nearest_a_year_first = 1 and known_misses.days_from_a_year <= 16
    ),

    -- each kind of evidence takes its share of what the one before it left
    corrections as (
        select
            bases.as_of_date,
            bases.level_persistence_weight,
            round(
                bases.level_persistence_weight * coalesce(bases.log_persistence_ratio, 0.0e0) + greatest(
                    -1.0e0,
                    least(
                        1.0e0,
                        coalesce(year_ago.trust * year_ago.log_miss, 0.0e0)
                        + (1.0e0 - coalesce(year_ago.trust, 0.0e0))
                        * coalesce(seasons.steadiness * seasons.log_season, 0.0e0)
                    )
                ),
                9
            ) as log_correction
        from bases
        left join year_ago on year_ago.as_of_date = bases.as_of_date
        left join seasons on seasons.as_of_date = bases.as_of_date
    ),

    levels as (
        select
            expected.*,
            corrections.level_persistence_weight,
            corrections.log_correction,
            {{ money("expected.probabilistic_total * round(exp(corrections.log_correction), 9)") }}
            as level_value
        from expected
        inner join corrections on corrections.as_of_date = expected.as_of_date
    )

select
    levels.as_of_date,
    cast(levels.customer_count as bigint) as customer_count,
    levels.persistence_total,
    levels.probabilistic_total,
    levels.is_fitted,
    levels.level_persistence_weight,
    levels.log_correction,
    levels.level_value,
    happened.actual_total,
    {{ build_hash(["fitted.build_hash", "cast(levels.level_value as string)"]) }} as build_hash
from levels
inner join fitted on fitted.as_of_date = levels.as_of_date
left join happened on happened.as_of_date = levels.as_of_date
