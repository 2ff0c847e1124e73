-- Grain: one row per subject: how long before the scoring date the newest event happened, and the newest
-- became known.
with
    today as (select * from {{ ref("int_today") }}),

    events as (select * from {{ ref("stg_events") }}),

    newest as (
        select 'newest_event' as subject, max(occurred_at) as newest_at
        from events
        union all
        select 'newest_recorded' as subject, max(known_at) as newest_at
        from events
    )

select
    cast('freshness' as string) as check_name,
    cast(newest.subject as string) as subject,
    cast(null as string) as source,
    cast(
        {{ seconds_between("newest.newest_at", "today.as_of_date") }} / 86400.0e0 as double
    ) as measured_value,
    cast({{ setting("freshness_days") }} as double) as usual_value,
    cast(newest.newest_at as timestamp) as newest_at
from newest
cross join today
where newest.newest_at is not null
