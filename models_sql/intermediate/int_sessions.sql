-- Grain: one row per customer and day on which something became known of their sessions. Counts are changes, so that sums
-- up to a date give what was known then. A session is a session_id, or a session_start that came without one.
with
    events as (select * from {{ ref("int_events") }}),

    visits as (
        select
            customer_id,
            coalesce(session_id, case when event_type = 'session_start' then event_id end) as session_key,
            event_type,
            occurred_at,
            known_at
        from events
    ),

    sessions as (
        select
            customer_id,
            session_key,
            min(known_at) as session_known_at,
            min(occurred_at) as started_at,
            min(case when event_type = 'add_to_cart' then known_at end) as cart_known_at,
            min(case when event_type = 'purchase' then known_at end) as purchase_known_at
        from visits
        where session_key is not null
        group by customer_id, session_key
    ),

    changes as (
        select customer_id, session_known_at as known_at, 1 as sessions, 0 as page_views, 0 as carts, 0 as bought_carts
        from sessions
        union all
        select customer_id, known_at, 0 as sessions, 1 as page_views, 0 as carts, 0 as bought_carts
        from events
        where event_type = 'page_view'
        union all
        select customer_id, cart_known_at, 0 as sessions, 0 as page_views, 1 as carts, 0 as bought_carts
        from sessions
        where cart_known_at is not null
        union all
        select
            customer_id,
            greatest(cart_known_at, purchase_known_at),
            0 as sessions,
            0 as page_views,
            0 as carts,
            1 as bought_carts
        from sessions
        where cart_known_at is not null and purchase_known_at is not null
    )

select
    cast(customer_id as string) as customer_id,
    cast(known_at as date) as known_on,
    cast(sum(sessions) as bigint) as session_count,
    cast(sum(page_views) as bigint) as page_view_count,
    cast(sum(carts) as bigint) as cart_session_count,
    cast(sum(bought_carts) as bigint) as bought_cart_session_count
from changes
group by customer_id, cast(known_at as date)
