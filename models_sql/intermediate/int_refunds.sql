-- Grain: one row per refund line. It counts from known_from until known_until, when it was paired with its
-- whole sale.
select
    event_id as refund_id,
    customer_id,
    order_id,
    occurred_at as refunded_at,
    known_at as known_from,
    voided_at as known_until,
    sold_at,
    amount as refund_amount
from {{ ref("int_money_lines") }}
where is_refund
