-- Grain: one row per sale line that a refund under a number of its own takes back: the latest sale of the
-- same customer, product, quantity and amount that is still open.
with
    lines as (select * from {{ ref("int_order_lines") }}),

    units as (
        select
            event_id as unit_id,
            customer_id,
            order_id,
            concat_ws(' x ', cast(abs(quantity) as string), product_id) as subject,
            lines.currency,
            abs(source_amount) as price,
            is_refund,
            occurred_at,
            known_at
        from lines
        where
            product_id is not null
            and coalesce(quantity, 1) <> 0
            and source_amount <> 0
            and not names_its_sale
    ),

    {{ taken_back("units") }}

select
    taken_back.sale_id,
    taken_back.refund_id,
    taken_back.customer_id,
    sales.order_id,
    taken_back.price as source_amount,
    taken_back.rest as rest_amount,
    taken_back.sold_at,
    taken_back.refunded_at
from taken_back
inner join units as sales on sales.unit_id = taken_back.sale_id
