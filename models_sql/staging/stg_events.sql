-- Grain: one row an event that stands: its feed was not taken back.
select
    event_id,
    customer_id,
    session_id,
    order_id,
    product_id,
    category,
    event_type,
    occurred_at,
    known_at,
    quantity,
    source_amount,
    currency,
    amount
from {{ ref("stg_told_events") }}
where undone_at is null
