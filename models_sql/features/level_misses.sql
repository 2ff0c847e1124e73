-- Grain: as_of_date x missed_on: by how much the totals of an earlier date missed what customers then
-- spent, where the answer was known by as_of_date. Dates with the same kind of estimate where there are
-- any, else of the other kind.
{{ config(materialized="view") }}

with
    dates as (select * from {{ ref("as_of_dates") }}),

    totals as (select * from {{ ref("shop_totals") }}),

    misses as (
        select
            dates.as_of_date,
            dates.label_known_at,
            totals.is_fitted,
            round(ln(totals.actual_total / totals.probabilistic_total), 9) as probabilistic_miss,
            totals.log_persistence_ratio,
            cast(dates.shop_age_days as double) / (dates.shop_age_days + {{ half_trusted_days() }}) as trust
        from dates
        inner join totals on totals.as_of_date = dates.as_of_date
        where totals.actual_total > 0 and totals.log_persistence_ratio is not null
    ),

    ever_known as (
        select
            dates.as_of_date,
            misses.as_of_date as missed_on,
            misses.trust,
            misses.probabilistic_miss,
            misses.probabilistic_miss - misses.log_persistence_ratio as persistence_miss,
            abs({{ days_between("misses.as_of_date", "dates.as_of_date") }} - 365) as days_from_a_year,
            rank() over (
                partition by dates.as_of_date
                order by case when misses.is_fitted = totals.is_fitted then 0 else 1 end nulls last
            ) as same_kind_first
        from dates
        inner join totals on totals.as_of_date = dates.as_of_date
        inner join misses on misses.label_known_at <= dates.as_of_date
    )

select
    as_of_date,
    missed_on,
    trust,
    probabilistic_miss,
    persistence_miss,
    days_from_a_year,
    row_number() over (
        partition by as_of_date order by days_from_a_year nulls last, missed_on desc nulls last
    )
    = 1 as is_nearest_a_year
from ever_known
where same_kind_first = 1
