-- Grain: one row per purchase or refund line. Pairs a cancellation with its sale: both carry `voided_at`,
-- the moment from which the pair is known to have come to nothing. Everything is ordered by `known_at`,
-- so that a later event never changes what an earlier date saw.
with
    lines as (select * from {{ ref("int_order_lines") }}),

    cancelled_orders as (select * from {{ ref("int_cancelled_orders") }}),

    found as (select * from {{ ref("int_line_pairs") }}),

    -- what an order's cancellation took back cannot be taken back again
    pairs as (
        select found.sale_id, found.refund_id, found.refunded_at, found.sold_at
        from found
        left join
            cancelled_orders
            on cancelled_orders.customer_id = found.customer_id
            and cancelled_orders.order_id = found.order_id
        where cancelled_orders.voided_at is null or cancelled_orders.voided_at >= found.refunded_at
    )

select
    lines.event_id,
    lines.customer_id,
    lines.order_id,
    lines.product_id,
    lines.category,
    lines.is_refund,
    lines.occurred_at,
    lines.known_at,
    lines.quantity,
    lines.amount,
    coalesce(
        as_sale.refunded_at,
        as_refund.refunded_at,
        case
            when
                lines.known_at <= cancelled_orders.voided_at and (not lines.is_refund or lines.names_its_sale)
            then cancelled_orders.voided_at
        end
    ) as voided_at,
    case when lines.is_refund then coalesce(as_refund.sold_at, lines.ordered_at) end as sold_at
from lines
left join
    cancelled_orders
    on cancelled_orders.customer_id = lines.customer_id
    and cancelled_orders.order_id = lines.order_id
left join pairs as as_sale on as_sale.sale_id = lines.event_id
left join pairs as as_refund on as_refund.refund_id = lines.event_id
