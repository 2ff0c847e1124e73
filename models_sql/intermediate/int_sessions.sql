-- Grain: one row per customer, day on which something became known of their sessions, and day on which it
-- happened. Counts are changes, so that sums up to a date give what was known then; those
-- of a past history end with it. A session is a
-- session_id, or a session_start that came without one; it happened when the first that was known of it
-- did.
with
    histories as (select * from {{ ref("int_histories") }}),

    events as (select * from {{ ref("int_events") }}),

    visits as (
        select customer_id, coalesce(session_id, event_id) as session_key, event_type, occurred_at, known_at
        from events
        where session_id is not null or event_type = 'session_start'
    ),

    ordered_visits as (
        select visits.*, min(known_at) over (partition by customer_id, session_key) as session_known_at
        from visits
    ),

    sessions as (
        select
            customer_id,
            session_key,
            session_known_at,
            min(case when known_at = session_known_at then occurred_at end) as happened_at,
            min(case when event_type = 'add_to_cart' then known_at end) as cart_known_at,
            min(case when event_type = 'purchase' then known_at end) as purchase_known_at
        from ordered_visits
        group by customer_id, session_key, session_known_at
    ),

    changes as (
        select
            customer_id,
            session_known_at as known_at,
            happened_at,
            1 as sessions,
            0 as page_views,
            0 as carts,
            0 as bought_carts
        from sessions
        union all
        select
            customer_id, known_at, occurred_at, 0 as sessions, 1 as page_views, 0 as carts, 0 as bought_carts
        from events
        where event_type = 'page_view'
        union all
        select
            customer_id,
            cart_known_at,
            happened_at,
            0 as sessions,
            0 as page_views,
            1 as carts,
            0 as bought_carts
        from sessions
        where cart_known_at is not null
        union all
        select
            customer_id,
            greatest(cart_known_at, purchase_known_at),
            happened_at,
            0 as sessions,
            0 as page_views,
            0 as carts,
            1 as bought_carts
        from sessions
        where cart_known_at is not null and purchase_known_at is not null
    ),

    states as (select changes.*, known_at as known_from, cast(null as timestamp) as known_until from changes),

    {{ states_of_customers("states") }}

select
    cast(person_id as string) as customer_id,
    cast(counts_from as date) as known_on,
    cast(counts_until as date) as known_until,
    cast(happened_at as date) as happened_on,
    cast(sum(sessions) as bigint) as session_count,
    cast(sum(page_views) as bigint) as page_view_count,
    cast(sum(carts) as bigint) as cart_session_count,
    cast(sum(bought_carts) as bigint) as bought_cart_session_count
from states_of_customers
group by person_id, cast(counts_from as date), cast(counts_until as date), cast(happened_at as date)
