-- Grain: one row per subject: what the last day and the last seven days brought, and the same weekday
-- and week of the eight weeks before.
with
    today as (select * from {{ ref("int_today") }}),

    events as (select * from {{ ref("stg_events") }}),

    weeks as (
        select cast(weeks_ago as int) as weeks_ago
        from (select {{ explode(whole_numbers(0, usual_volume_weeks())) }} as weeks_ago) as listed
    ),

    spans as (
        select 'day' as span, 1 as span_days, 7 * weeks_ago as days_ago
        from weeks
        union all
        select 'week' as span, 7 as span_days, 7 * weeks_ago as days_ago
        from weeks
    ),

    recent as (
        select events.event_type, events.occurred_at, today.as_of_date
        from events
        inner join
            today
            on {{ in_lookback("events.occurred_at", "today.as_of_date", 7 * (usual_volume_weeks() | int + 1)) }}
    ),

    counted as (
        select
            spans.span,
            spans.days_ago,
            count(recent.occurred_at) as events,
            count(case when recent.event_type = 'purchase' then 1 end) as purchases
        from spans
        inner join
            today
            on {{ days_between("today.opened_on", "today.as_of_date") }} >= spans.days_ago + spans.span_days
        left join
            recent
            on {{ in_span("recent.occurred_at", "recent.as_of_date", "spans.span_days", "spans.days_ago") }}
        group by spans.span, spans.days_ago
    ),

    volumes as (
        select 'events of the last ' || span as subject, days_ago, events as row_count
        from counted
        union all
        select 'purchases of the last ' || span as subject, days_ago, purchases as row_count
        from counted
    ),

    usual as (
        select
            subject,
            max(case when days_ago = 0 then row_count end) as measured_value,
            case
                when count(case when days_ago > 0 then 1 end) >= {{ least_usual_weeks() }}
                then percentile_disc(0.5) within group (order by case when days_ago > 0 then row_count end)
            end as usual_value
        from volumes
        group by subject
    )

select
    cast('volume' as string) as check_name,
    cast(subject as string) as subject,
    cast(null as string) as source,
    cast(measured_value as double) as measured_value,
    cast(usual_value as double) as usual_value,
    cast(null as timestamp) as newest_at
from usual
where measured_value is not null
