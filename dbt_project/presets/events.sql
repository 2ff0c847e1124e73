-- A generic feed of events whose columns carry the contract's own names. Each event has its own id.
-- table: events
-- event_id: given
-- requires: event_id, customer_id, event_type, occurred_at
-- optional: recorded_at, session_id, order_id, product_id, category, quantity, amount, currency
select
    feed_row,
    event_id,
    customer_id,
    event_type,
    occurred_at,
    recorded_at,
    session_id,
    order_id,
    product_id,
    category,
    quantity,
    amount,
    currency
from feed
