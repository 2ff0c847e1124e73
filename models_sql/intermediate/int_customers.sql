-- Grain: one row per customer and state of knowledge about when they were first seen. A late record may
-- move the first sight back; each state holds for the dates in (known_from, known_until].
with
    histories as (select * from {{ ref("int_histories") }}),

    events as (select customer_id, occurred_at, known_at from {{ ref("int_events") }}),

    steps as (
        select customer_id, known_at, min(occurred_at) as occurred_at
        from events
        group by customer_id, known_at
    ),

    sights as (
        select
            customer_id,
            known_at,
            min(occurred_at) over (
                partition by customer_id order by known_at rows between unbounded preceding and current row
            ) as first_seen_at,
            min(occurred_at) over (
                partition by customer_id order by known_at rows between unbounded preceding and 1 preceding
            ) as first_seen_before
        from steps
    ),

    states as (
        select
            customer_id,
            known_at as known_from,
            lead(known_at) over (partition by customer_id order by known_at) as known_until,
            first_seen_at
        from sights
        where first_seen_before is null or first_seen_at < first_seen_before
    ),

    {{ states_of_customers("states") }}

select
    cast(person_id as string) as customer_id,
    cast(counts_from as timestamp) as known_from,
    cast(counts_until as timestamp) as known_until,
    cast(first_seen_at as timestamp) as first_seen_at
from states_of_customers
