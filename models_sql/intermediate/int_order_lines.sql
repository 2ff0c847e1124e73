-- Grain: one row per purchase or refund line, under the order that it belongs to. A credit note that
-- takes back a whole order without naming it bears that order's number here.
with
    lines as (select * from {{ ref("int_named_lines") }}),
    pairs as (select * from {{ ref("int_order_pairs") }})

select
    lines.event_id,
    lines.customer_id,
    coalesce(pairs.order_id, lines.order_id) as order_id,
    lines.product_id,
    lines.category,
    lines.is_refund,
    lines.occurred_at,
    greatest(lines.known_at, coalesce(pairs.refunded_at, lines.known_at)) as known_at,
    lines.quantity,
    lines.source_amount,
    lines.currency,
    lines.amount,
    coalesce(lines.ordered_at, pairs.sold_at) as ordered_at,
    lines.names_its_sale or pairs.order_id is not null as names_its_sale
from lines
left join
    pairs
    on pairs.customer_id = lines.customer_id
    and pairs.note_id = coalesce(lines.order_id, lines.event_id)
    and lines.is_refund
    and not lines.names_its_sale
    and lines.product_id is null
