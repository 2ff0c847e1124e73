-- Grain: one row an event, under the customer number that stands today. Money without a rate is left
-- aside; it stands in `int_unconverted_events` until a rate arrives.
{{ config(materialized="view") }}

with events as (select * from {{ ref("stg_events") }}), ids as (select * from {{ ref("int_customer_ids") }})

select
    events.event_id,
    coalesce(ids.customer_id, events.customer_id) as customer_id,
    events.session_id,
    events.order_id,
    events.product_id,
    events.category,
    events.event_type,
    events.occurred_at,
    events.known_at,
    events.quantity,
    events.source_amount,
    events.currency,
    events.amount
from events
left join ids on ids.old_customer_id = events.customer_id
where events.event_type not in ('purchase', 'refund') or events.amount is not null
