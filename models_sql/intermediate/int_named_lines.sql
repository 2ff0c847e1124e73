-- Grain: one row per purchase or refund line, with the sale that its order number names. A refund names
-- its sale where it bears the number of an order that was known by then; when that was placed is what was
-- known then too, so that a line of the order that arrives later moves nothing. A refund with a date
-- alone may be of any time of that day, and is known once a sale of its number is.
with
    lines as (select * from {{ ref("int_events") }} where event_type in ('purchase', 'refund')),

    flagged as (select lines.*, event_type = 'refund' as is_refund from lines),

    settled as (select flagged.*, {{ settles_at("is_refund", "known_at") }} as settles_at from flagged),

    dated as (
        select
            settled.*,
            case
                when order_id is not null
                then
                    min(case when not is_refund then occurred_at end) over (
                        partition by customer_id, order_id
                        order by settles_at nulls last
                        range between unbounded preceding and current row
                    )
            end as ordered_at,
            case
                when order_id is not null
                then
                    max(case when not is_refund then known_at end) over (
                        partition by customer_id, order_id
                        order by settles_at nulls last
                        range between unbounded preceding and current row
                    )
            end as sale_known_at
        from settled
    )

select
    event_id,
    customer_id,
    order_id,
    product_id,
    category,
    is_refund,
    occurred_at,
    greatest(known_at, coalesce(sale_known_at, known_at)) as known_at,
    quantity,
    source_amount,
    currency,
    amount,
    ordered_at,
    is_refund and ordered_at is not null as names_its_sale
from dated
