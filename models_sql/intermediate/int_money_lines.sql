-- Grain: one row per purchase or refund line, and one per rest of a refund. Pairs a return with its sale:
-- both carry `voided_at`, the moment from which the pair is known to have come to nothing. What a refund
-- gave back beyond its sale, or a rounding difference, is a line of its own that stands. Everything is
-- ordered by `known_at`, so that a later event never changes what an earlier date saw. A return is converted
-- at the rate of its purchase's day, so that both come to nothing in any currency.
with
    lines as (select * from {{ ref("int_order_lines") }}),

    cancelled_orders as (select * from {{ ref("int_cancelled_orders") }}),

    found as (select * from {{ ref("int_line_pairs") }}),

    rates as (select * from {{ ref("stg_reporting_rates") }}),

    -- what an order's cancellation took back cannot be taken back again
    pairs as (
        select found.sale_id, found.refund_id, found.refunded_at, found.sold_at, found.rest_amount
        from found
        left join
            cancelled_orders
            on cancelled_orders.customer_id = found.customer_id
            and cancelled_orders.order_id = found.order_id
        where cancelled_orders.voided_at is null or cancelled_orders.voided_at >= found.refunded_at
    ),

    closing_refunds as (
        select
            lines.event_id,
            cancelled_orders.rest_amount,
            row_number() over (
                partition by lines.customer_id, lines.order_id
                order by lines.known_at desc, lines.occurred_at desc, lines.event_id desc
            ) as newest_first
        from lines
        inner join
            cancelled_orders
            on cancelled_orders.customer_id = lines.customer_id
            and cancelled_orders.order_id = lines.order_id
            and cancelled_orders.rest_amount <> 0
        where lines.names_its_sale and lines.known_at <= cancelled_orders.voided_at
    ),

    rests as (
        select refund_id, rest_amount
        from pairs
        where rest_amount <> 0
        union all
        select event_id, rest_amount
        from closing_refunds
        where newest_first = 1
    ),

    matched as (
        select
            lines.*,
            coalesce(
                as_sale.refunded_at,
                as_refund.refunded_at,
                case
                    when
                        lines.known_at <= cancelled_orders.voided_at
                        and (not lines.is_refund or lines.names_its_sale)
                    then cancelled_orders.voided_at
                end
            ) as voided_at,
            case when lines.is_refund then coalesce(as_refund.sold_at, lines.ordered_at) end as sold_at,
            coalesce(rests.rest_amount, 0) as source_rest,
            coalesce({{ money(ratio("rests.rest_amount * lines.amount", "lines.source_amount")) }}, 0) as rest
        from lines
        left join
            cancelled_orders
            on cancelled_orders.customer_id = lines.customer_id
            and cancelled_orders.order_id = lines.order_id
        left join pairs as as_sale on as_sale.sale_id = lines.event_id
        left join pairs as as_refund on as_refund.refund_id = lines.event_id
        left join rests on rests.refund_id = lines.event_id
    ),

    converted as (
        select
            matched.*,
            source_amount - source_rest as source_sold,
            cast(source_amount - source_rest as decimal(19, 2)) * rates.rate_to_reporting as sold
        from matched
        left join rates on {{ rate_holds("matched.currency", "matched.sold_at") }}
    ),

    divided as (
        select
            converted.*,
            event_id as line_id,
            source_sold as own_source,
            coalesce(
                case when abs(sold) < {{ largest_amount() }} then {{ money("sold") }} end, amount - rest
            ) as own_amount
        from converted
        union all
        select converted.*, event_id || ':rest' as line_id, source_rest as own_source, rest as own_amount
        from converted
        where source_rest <> 0
    )

select
    line_id as event_id,
    customer_id,
    order_id,
    product_id,
    category,
    is_refund,
    occurred_at,
    known_at,
    case when line_id = event_id then quantity end as quantity,
    currency,
    cast(own_source as decimal(18, 2)) as source_amount,
    cast(own_amount as decimal(18, 2)) as amount,
    case when line_id = event_id then voided_at end as voided_at,
    sold_at
from divided
