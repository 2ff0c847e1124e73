-- Orders of any shop: one row an order, or an order line. A negative amount is a refund of the order it
-- names.
-- An identical row is the same order exported twice, so the second one is quarantined.
-- table: events
-- event_id: content
-- requires: order_id, customer_id, ordered_at, amount, currency
-- optional: recorded_at, session_id, product_id, category, quantity
select
    feed_row,
    customer_id,
    case when money(clean_text(amount)) < 0 then 'refund' else 'purchase' end as event_type,
    ordered_at as occurred_at,
    recorded_at,
    session_id,
    order_id,
    product_id,
    category,
    quantity,
    amount,
    currency
from feed
