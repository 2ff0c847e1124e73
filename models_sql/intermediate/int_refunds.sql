-- Grain: one row per refund line. It counts from known_from until known_until, when it was paired with its
-- whole sale.
with
    histories as (select * from {{ ref("int_histories") }}),

    lines as (select * from {{ ref("int_money_lines") }} where is_refund)

select
    lines.event_id as refund_id,
    cast(coalesce(histories.customer_id, lines.customer_id) as string) as customer_id,
    lines.order_id,
    lines.occurred_at as refunded_at,
    cast(greatest(lines.known_at, histories.known_from) as timestamp) as known_from,
    cast(least(lines.voided_at, histories.known_until) as timestamp) as known_until,
    histories.known_until as undone_at,
    lines.sold_at,
    lines.amount as refund_amount
from lines
left join histories on histories.history_id = lines.customer_id
where histories.known_until is null or lines.known_at < histories.known_until
