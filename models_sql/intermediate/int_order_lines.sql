-- Grain: one row per purchase or refund line, with the sale that its order number names. A refund names its
-- sale where it bears the number of an order that was known by then; when that was placed is what was known
-- then too, so that a line of the order that arrives later moves nothing.
with
    lines as (select * from {{ ref("int_events") }} where event_type in ('purchase', 'refund')),

    flagged as (select lines.*, event_type = 'refund' as is_refund from lines),

    dated as (
        select
            flagged.*,
            case
                when order_id is not null
                then
                    min(case when not is_refund then occurred_at end) over (
                        partition by customer_id, order_id
                        order by known_at
                        range between unbounded preceding and current row
                    )
            end as ordered_at
        from flagged
    )

select
    event_id,
    customer_id,
    order_id,
    product_id,
    category,
    is_refund,
    occurred_at,
    known_at,
    quantity,
    source_amount,
    currency,
    amount,
    ordered_at,
    is_refund and ordered_at is not null as names_its_sale
from dated
