-- Grain: one row per date of the calendar: what its rows are made from, as fingerprints. A stored date
-- whose fingerprints have changed is computed again.
{{ config(materialized="view") }}

with
    dates as (select as_of_date from {{ ref("int_calendar") }}),

    events as (
        select
            cast(greatest(known_at, counts_from) as date) as known_on,
            cast(counts_until as date) as known_until,
            amount
        from {{ ref("int_events") }}
    ),

    ids as (select * from {{ ref("stg_id_history") }}),

    rates as (select * from {{ ref("stg_reporting_rates") }}),

    told_attributes as (
        select customer_id, known_at, attributes, cast(null as timestamp) as undone_at
        from {{ ref("stg_attributes") }}
        union all
        select customer_id, known_at, attributes, undone_at
        from {{ ref("stg_undone_attributes") }}
    ),

    attributes as (select * from told_attributes {{ "where false" if not setting("customer_attributes") }}),

    -- identity is not behaviour: the latest id map and rates apply to all dates
    id_history as (
        select
            cast(
                sum({{ wide(md5_number("old_customer_id || '>' || new_customer_id")) }}) as string
            ) as fingerprint
        from ids
    ),

    fx_rates as (
        select
            cast(
                sum(
                    {{ wide(md5_number(
                        "currency || '@' || cast(" ~ epoch_seconds("valid_from") ~ " as string) || '='"
                        ~ " || cast(cast(rate_to_reporting as decimal(18, 8)) as string)"
                    )) }}
                ) as string
            ) as fingerprint
        from rates
    ),

    event_days as (
        select known_on, known_until, count(*) as event_count, sum(coalesce(amount, 0)) as amount
        from events
        group by known_on, known_until
    ),

    known_events as (
        select
            dates.as_of_date,
            cast(coalesce(sum(event_days.event_count), 0) as bigint) as event_count,
            cast(coalesce(sum(event_days.amount), 0) as decimal(18, 2)) as amount
        from dates
        left join
            event_days
            on {{ state_known_before("event_days.known_on", "event_days.known_until", "dates.as_of_date") }}
        group by dates.as_of_date
    ),

    attribute_days as (
        select
            cast(known_at as date) as known_on,
            cast(undone_at as date) as known_until,
            sum(
                {{ wide(md5_number(
                    "customer_id || '@' || cast(" ~ epoch_seconds("known_at") ~ " as string) || '=' || attributes"
                )) }}
            ) as fingerprint
        from attributes
        group by cast(known_at as date), cast(undone_at as date)
    ),

    known_attributes as (
        select dates.as_of_date, cast(coalesce(sum(attribute_days.fingerprint), 0) as string) as fingerprint
        from dates
        left join
            attribute_days
            on {{ state_known_before("attribute_days.known_on", "attribute_days.known_until", "dates.as_of_date") }}
        group by dates.as_of_date
    )

select
    dates.as_of_date,
    coalesce(id_history.fingerprint, '0') as id_fingerprint,
    coalesce(fx_rates.fingerprint, '0') as rate_fingerprint,
    known_events.event_count,
    known_events.amount as event_amount,
    known_attributes.fingerprint as attribute_fingerprint
from dates
inner join known_events on known_events.as_of_date = dates.as_of_date
inner join known_attributes on known_attributes.as_of_date = dates.as_of_date
cross join id_history
cross join fx_rates
