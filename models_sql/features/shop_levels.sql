-- Grain: one row per as_of_date: what all customers together are expected to spend in the horizon. The level is the
-- probabilistic total, corrected by how far the same estimate was off where the answer was known by then: in the window one
-- year earlier, else by half as much as in the last window that had ended. A correction counts for less the shorter the
-- shop's history was when it was made.
{{ config(materialized="table") }}

with
    dates as (select * from {{ ref("as_of_dates") }}),

    fitted as (select * from {{ ref("fitted_dates") }}),

    baselines as (select * from {{ ref("customer_baselines") }}),

    labels as (select * from {{ ref("customer_labels") }}),

    expected as (
        select
            as_of_date,
            count(*) as customer_count,
            cast(sum(greatest(persistence_value, 0)) as double) as persistence_total,
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

    known_misses as (
        select
            dates.as_of_date,
            misses.log_miss,
            misses.trust,
            abs({{ days_between("misses.as_of_date", "dates.as_of_date") }} - 365) as days_from_a_year,
            row_number() over (
                partition by dates.as_of_date
                order by
                    case
                        when abs({{ days_between("misses.as_of_date", "dates.as_of_date") }} - 365) <= 16 then 0 else 1
                    end,
                    case
                        when abs({{ days_between("misses.as_of_date", "dates.as_of_date") }} - 365) <= 16
                        then abs({{ days_between("misses.as_of_date", "dates.as_of_date") }} - 365)
                        else {{ days_between("misses.as_of_date", "dates.as_of_date") }}
                    end,
                    misses.as_of_date desc
            ) as place
        from dates
        inner join expected on expected.as_of_date = dates.as_of_date
        inner join
            misses
            on misses.label_known_at <= dates.as_of_date
            and misses.is_fitted = expected.is_fitted
            and misses.log_miss is not null
    ),

    corrections as (
        select
            as_of_date,
            case when days_from_a_year <= 16 then 1.0E0 else 0.5E0 end * trust * log_miss as log_correction
        from known_misses
        where place = 1
    ),

    levels as (
        select
            expected.*,
            coalesce(corrections.log_correction, 0.0E0) as log_correction,
            {{ money(
                "expected.probabilistic_total"
                ~ " * round(exp(greatest(-1.0E0, least(1.0E0, coalesce(corrections.log_correction, 0.0E0)))), 9)"
            ) }} as level_value
        from expected
        left join corrections on corrections.as_of_date = expected.as_of_date
    )

select
    levels.as_of_date,
    cast(levels.customer_count as bigint) as customer_count,
    levels.persistence_total,
    levels.probabilistic_total,
    levels.log_correction,
    levels.level_value,
    misses.actual_total,
    {{ build_hash(["fitted.build_hash", "cast(levels.level_value as string)"]) }} as build_hash
from levels
inner join fitted on fitted.as_of_date = levels.as_of_date
left join misses on misses.as_of_date = levels.as_of_date
