-- Grain: one row per purchase or refund line. Pairs a cancellation with its sale: both carry `voided_at`,
-- the moment from
-- which the pair is known to have come to nothing. Everything is ordered by `known_at`, so that a later
-- event never
-- changes what an earlier date saw.
with
    events as (select * from {{ ref("int_events") }}),

    lines as (
        select
            event_id,
            customer_id,
            order_id,
            product_id,
            category,
            event_type = 'refund' as is_refund,
            occurred_at,
            known_at,
            quantity,
            source_amount,
            currency,
            amount
        from events
        where event_type in ('purchase', 'refund')
    ),

    -- A refund names its sale where it bears the number of an order that was known by then; when that was
    -- placed is what
    -- was known then too, so that a line of the order that arrives later moves nothing.
    dated_lines as (
        select
            lines.*,
            case
                when order_id is not null
                then
                    min(case when not is_refund then occurred_at end) over (
                        partition by customer_id, order_id
                        order by known_at
                        range between unbounded preceding and current row
                    )
            end as ordered_at
        from lines
    ),

    named_lines as (
        select dated_lines.*, is_refund and ordered_at is not null as names_its_sale from dated_lines
    ),

    -- First way: a refund under a number of its own takes back the latest sale of the same customer,
    -- product, quantity
    -- and amount that is still open. Sales and refunds are opening and closing brackets; a pair shares its
    -- depth.
    brackets as (
        select
            event_id,
            customer_id,
            product_id,
            currency,
            abs(quantity) as pieces,
            abs(source_amount) as price,
            is_refund,
            occurred_at,
            known_at,
            sum(case when is_refund then -1 else 1 end) over (
                partition by customer_id, product_id, currency, abs(quantity), abs(source_amount)
                order by known_at, is_refund, occurred_at, event_id
                rows between unbounded preceding and current row
            ) as running
        from named_lines
        where product_id is not null and quantity <> 0 and source_amount <> 0 and not names_its_sale
    ),

    floored as (
        select
            brackets.*,
            running - least(
                0,
                min(running) over (
                    partition by customer_id, product_id, currency, pieces, price
                    order by known_at, is_refund, occurred_at, event_id
                    rows between unbounded preceding and current row
                )
            ) as open_after
        from brackets
    ),

    depths as (
        select
            floored.*,
            case
                when is_refund
                then
                    lag(open_after) over (
                        partition by customer_id, product_id, currency, pieces, price
                        order by known_at, is_refund, occurred_at, event_id
                    )
                else open_after
            end as depth
        from floored
    ),

    neighbours as (
        select
            event_id,
            is_refund,
            known_at,
            lead(known_at) over (
                partition by customer_id, product_id, currency, pieces, price, depth
                order by known_at, is_refund, occurred_at, event_id
            ) as refunded_at,
            lead(event_id) over (
                partition by customer_id, product_id, currency, pieces, price, depth
                order by known_at, is_refund, occurred_at, event_id
            ) as refund_id,
            occurred_at
        from depths
        where depth > 0
    ),

    found as (
        select
            neighbours.event_id as sale_id,
            neighbours.refund_id,
            neighbours.refunded_at,
            neighbours.occurred_at as sold_at,
            lines.customer_id,
            lines.order_id,
            lines.source_amount
        from neighbours
        inner join lines on lines.event_id = neighbours.event_id
        where not neighbours.is_refund and neighbours.refund_id is not null
    ),

    -- Second way: an order and the refunds that name it come to zero together, lines that are already
    -- paired left out.
    changes as (
        select
            customer_id,
            order_id,
            known_at,
            source_amount,
            case when names_its_sale then 1 else 0 end as named,
            0 as paired
        from named_lines
        where not is_refund or names_its_sale
        union all
        select customer_id, order_id, refunded_at, - source_amount, 0 as named, 1 as paired
        from found
    ),

    order_steps as (
        select
            customer_id,
            order_id,
            known_at,
            sum(source_amount) as amount_change,
            sum(named) as named_count,
            sum(named + paired) as refund_count
        from changes
        group by customer_id, order_id, known_at
    ),

    order_balances as (
        select
            customer_id,
            order_id,
            known_at,
            refund_count,
            sum(named_count) over (
                partition by customer_id, order_id
                order by known_at
                rows between unbounded preceding and current row
            ) as named_so_far,
            sum(amount_change) over (
                partition by customer_id, order_id
                order by known_at
                rows between unbounded preceding and current row
            ) as balance
        from order_steps
    ),

    cancelled_orders as (
        select customer_id, order_id, min(known_at) as voided_at
        from order_balances
        where balance = 0 and refund_count > 0 and named_so_far > 0
        group by customer_id, order_id
    ),

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
    named_lines.event_id,
    named_lines.customer_id,
    named_lines.order_id,
    named_lines.product_id,
    named_lines.category,
    named_lines.is_refund,
    named_lines.occurred_at,
    named_lines.known_at,
    named_lines.quantity,
    named_lines.amount,
    coalesce(
        as_sale.refunded_at,
        as_refund.refunded_at,
        case
            when
                named_lines.known_at <= cancelled_orders.voided_at
                and (not named_lines.is_refund or named_lines.names_its_sale)
            then cancelled_orders.voided_at
        end
    ) as voided_at,
    case when named_lines.is_refund then coalesce(as_refund.sold_at, named_lines.ordered_at) end as sold_at
from named_lines
left join
    cancelled_orders
    on cancelled_orders.customer_id = named_lines.customer_id
    and cancelled_orders.order_id = named_lines.order_id
left join pairs as as_sale on as_sale.sale_id = named_lines.event_id
left join pairs as as_refund on as_refund.refund_id = named_lines.event_id
