-- Grain: one row per sale line that a refund under a number of its own takes back: the latest sale of the
-- same customer, product, quantity and amount that is still open. Sales and refunds are opening and
-- closing brackets; a pair shares its depth.
with
    lines as (select * from {{ ref("int_order_lines") }}),

    brackets as (
        select
            event_id,
            customer_id,
            order_id,
            product_id,
            currency,
            source_amount,
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
        from lines
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
            depths.*,
            lead(known_at) over (
                partition by customer_id, product_id, currency, pieces, price, depth
                order by known_at, is_refund, occurred_at, event_id
            ) as refunded_at,
            lead(event_id) over (
                partition by customer_id, product_id, currency, pieces, price, depth
                order by known_at, is_refund, occurred_at, event_id
            ) as refund_id
        from depths
        where depth > 0
    )

select
    event_id as sale_id, refund_id, customer_id, order_id, source_amount, occurred_at as sold_at, refunded_at
from neighbours
where not is_refund and refund_id is not null
