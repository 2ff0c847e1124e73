-- Grain: check_name x subject x source: what arrived, how fresh it is, how much against the usual, what was
-- refused, what
-- stands twice. `status` says which deserve a look.
with
    today as (select * from {{ ref("int_today") }}),

    events as (select * from {{ ref("stg_events") }}),

    quarantine as (select * from {{ source("raw", "quarantine") }}),

    -- freshness: days from the newest event to the date
    newest as (
        select 'newest_event' as subject, max(occurred_at) as newest_at
        from events
        union all
        select 'newest_recorded' as subject, max(known_at) as newest_at
        from events
    ),

    freshness as (
        select
            'freshness' as check_name,
            newest.subject,
            cast(null as string) as source,
            {{ seconds_between("newest.newest_at", "today.as_of_date") }} / 86400.0e0 as measured_value,
            cast({{ setting("freshness_days") }} as double) as usual_value,
            newest.newest_at
        from newest
        cross join today
        where newest.newest_at is not null
    ),

    -- volume: the last day and the last seven, beside the same weekday and week of the eight weeks before
    spans as (
        {%- for week in range(0, 9) %}
            select 'day' as span, 1 as span_days, {{ 7 * week }} as days_ago
            union all
            select
                'week' as span, 7 as span_days, {{ 7 * week }} as days_ago {{ "union all" if not loop.last }}
        {%- endfor %}
    ),

    recent as (
        select events.event_type, events.occurred_at, today.as_of_date
        from events
        inner join today on {{ in_lookback("events.occurred_at", "today.as_of_date", 63) }}
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
        select 'events of the last ' || span as subject, days_ago, events as measured_value
        from counted
        union all
        select 'purchases of the last ' || span as subject, days_ago, purchases as measured_value
        from counted
    ),

    usual as (
        select
            subject,
            max(case when days_ago = 0 then measured_value end) as measured_value,
            case
                when count(case when days_ago > 0 then 1 end) >= 4
                then
                    percentile_disc(0.5) within group (
                        order by case when days_ago > 0 then measured_value end
                    )
            end as usual_value
        from volumes
        group by subject
    ),

    volume as (
        select
            'volume' as check_name,
            subject,
            cast(null as string) as source,
            cast(measured_value as double) as measured_value,
            cast(usual_value as double) as usual_value,
            cast(null as timestamp) as newest_at
        from usual
        where measured_value is not null
    ),

    -- quarantine: share of all rows that arrived; by file only what was refused lately, or the table would
    -- grow for ever
    arrived as (
        select kept.row_count + refused.row_count as row_count, refused.newest_at
        from (select count(*) as row_count from events) as kept
        cross join (select count(*) as row_count, max(quarantined_at) as newest_at from quarantine) as refused
    ),

    refused as (
        select 'all reasons' as subject, cast(null as string) as source, quarantined_at
        from quarantine
        union all
        select reason as subject, cast(null as string) as source, quarantined_at
        from quarantine
        union all
        select quarantine.reason as subject, quarantine.source, quarantine.quarantined_at
        from quarantine
        inner join arrived on quarantine.quarantined_at > arrived.newest_at - interval '35 days'
    ),

    quarantined as (
        select
            'quarantine' as check_name,
            refused.subject,
            refused.source,
            {{ ratio("count(*)", "max(arrived.row_count)") }} as measured_value,
            cast(null as double) as usual_value,
            max(refused.quarantined_at) as newest_at
        from refused
        cross join arrived
        group by refused.subject, refused.source
    ),

    -- duplicates: an identity that stands twice is counted twice; rows alike in all but identity may be right
    alike as (
        select count(*) as row_count
        from events
        where event_type in ('purchase', 'refund')
        group by customer_id, event_type, occurred_at, order_id, product_id, quantity, source_amount, currency
    ),

    duplicates as (
        select
            'duplicates' as check_name,
            'events with the id of another' as subject,
            cast(null as string) as source,
            cast(count(event_id) - count(distinct event_id) as double) as measured_value,
            cast(null as double) as usual_value,
            cast(null as timestamp) as newest_at
        from events
        union all
        select
            'duplicates' as check_name,
            'money lines alike' as subject,
            cast(null as string) as source,
            {{ ratio("sum(row_count - 1)", "sum(row_count)") }} as measured_value,
            cast(null as double) as usual_value,
            cast(null as timestamp) as newest_at
        from alike
    ),

    checks as (
        select *
        from freshness
        union all
        select *
        from volume
        union all
        select *
        from quarantined
        union all
        select *
        from duplicates
    )

select
    cast(checks.check_name as string) as check_name,
    cast(checks.subject as string) as subject,
    checks.source,
    today.as_of_date,
    cast(checks.measured_value as double) as measured_value,
    checks.usual_value,
    cast(checks.newest_at as timestamp) as newest_at,
    cast(
        case
            when
                checks.check_name = 'duplicates'
                and checks.subject = 'events with the id of another'
                and checks.measured_value > 0
            then 'fail'
            when checks.check_name = 'duplicates' and checks.measured_value > {{ setting("alike_share") }}
            then 'warn'
            when checks.check_name = 'freshness' and checks.measured_value > checks.usual_value
            then 'warn'
            when
                checks.check_name = 'quarantine'
                and checks.subject = 'all reasons'
                and checks.measured_value > {{ setting("quarantine_share") }}
            then 'warn'
            -- beyond the factor, and beyond what chance alone does to a count
            when
                checks.check_name = 'volume'
                and (
                    checks.measured_value * {{ setting("volume_factor") }} < checks.usual_value
                    or checks.measured_value > checks.usual_value * {{ setting("volume_factor") }}
                )
                and abs(checks.measured_value - checks.usual_value) > 3.0e0 * sqrt(checks.usual_value)
            then 'warn'
            else 'ok'
        end as string
    ) as status
from checks
cross join today
