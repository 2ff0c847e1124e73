-- Grain: one row per as_of_date: what all customers together are expected to spend in the horizon. The level is the
-- probabilistic total, corrected by how far the same estimate was off in the window one year earlier, as far as that is
-- known and was made from a long enough history; for the rest by the season in the shop's own repeat revenue, as far as the
-- shop was steady over the year; and for what then remains by half of the last known miss.
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
            count(btyd_value) > 0 as is_fitted
        from baselines
        group by as_of_date
    ),

    happened as (
        select labels.as_of_date, cast(sum(labels.label_revenue) as double) as actual_total
        from labels
        inner join
            baselines on baselines.customer_id = labels.customer_id and baselines.as_of_date = labels.as_of_date
        group by labels.as_of_date
    ),

    misses as (
        select
            dates.as_of_date,
            dates.label_known_at,
            expected.is_fitted,
            happened.actual_total,
            case
                when happened.actual_total > 0 and expected.probabilistic_total > 0
                then round(ln(happened.actual_total / expected.probabilistic_total), 9)
            end as log_miss,
            cast(dates.shop_age_days as double) / (dates.shop_age_days + 90.0E0) as trust
        from dates
        inner join expected on expected.as_of_date = dates.as_of_date
        inner join happened on happened.as_of_date = dates.as_of_date
    ),

    -- misses of the same kind of estimate whose answer was known by the date
    known_misses as (
        select
            dates.as_of_date,
            misses.trust,
            misses.trust * misses.log_miss as trusted_miss,
            abs({{ days_between("misses.as_of_date", "dates.as_of_date") }} - 365) as days_from_a_year,
            row_number() over (
                partition by dates.as_of_date
                order by
                    abs({{ days_between("misses.as_of_date", "dates.as_of_date") }} - 365), misses.as_of_date desc
            ) as nearest_a_year_first,
            row_number() over (partition by dates.as_of_date order by misses.as_of_date desc) as newest_first
        from dates
        inner join expected on expected.as_of_date = dates.as_of_date
        inner join
            misses
            on misses.label_known_at <= dates.as_of_date
            and misses.is_fitted = expected.is_fitted
            and misses.log_miss is not null
    ),

    year_ago as (
        select as_of_date, trust, trusted_miss
        from known_misses
        where nearest_a_year_first = 1 and days_from_a_year <= 16
    ),

    newest as (select as_of_date, trusted_miss from known_misses where newest_first = 1),

    -- each kind of evidence takes its share of what the one before it left
    evidence as (
        select
            expected.as_of_date,
            coalesce(year_ago.trusted_miss, 0.0E0) as year_ago_correction,
            1.0E0 - coalesce(year_ago.trust, 0.0E0) as left_by_year_ago,
            case when seasons.log_season is not null then seasons.steadiness else 0.0E0 end as season_share,
            coalesce(seasons.log_season, 0.0E0) as season_correction,
            0.5E0 * coalesce(newest.trusted_miss, 0.0E0) as newest_correction
        from expected
        left join year_ago on year_ago.as_of_date = expected.as_of_date
        left join seasons on seasons.as_of_date = expected.as_of_date
        left join newest on newest.as_of_date = expected.as_of_date
    ),

    corrections as (
        select
            as_of_date,
            round(
                greatest(
                    -1.0E0,
                    least(
                        1.0E0,
                        year_ago_correction
                        + left_by_year_ago
                        * (season_share * season_correction + (1.0E0 - season_share) * newest_correction)
                    )
                ),
                9
            ) as log_correction
        from evidence
    ),

    levels as (
        select
            expected.*,
            corrections.log_correction,
            {{ money("expected.probabilistic_total * round(exp(corrections.log_correction), 9)") }} as level_value
        from expected
        inner join corrections on corrections.as_of_date = expected.as_of_date
    )

select
    levels.as_of_date,
    cast(levels.customer_count as bigint) as customer_count,
    levels.persistence_total,
    levels.probabilistic_total,
    levels.is_fitted,
    levels.log_correction,
    levels.level_value,
    misses.actual_total,
    {{ build_hash(["fitted.build_hash", "cast(levels.level_value as string)"]) }} as build_hash
from levels
inner join fitted on fitted.as_of_date = levels.as_of_date
left join misses on misses.as_of_date = levels.as_of_date
