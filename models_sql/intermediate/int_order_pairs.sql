-- Grain: one row per credit note that names no order and no product, and takes back a whole order: the
-- latest of the same customer and total that is still open. Of an order and of a note, what counts is
-- what was known at the end of the first day.
with
    lines as (select * from {{ ref("int_named_lines") }}),

    notes as (
        select
            customer_id,
            coalesce(order_id, event_id) as unit_id,
            true as is_refund,
            lines.currency,
            source_amount,
            occurred_at,
            known_at
        from lines
        where is_refund and not names_its_sale and product_id is null
    ),

    sales as (
        select
            customer_id,
            order_id as unit_id,
            false as is_refund,
            lines.currency,
            source_amount,
            occurred_at,
            known_at
        from lines
        where not is_refund and order_id is not null and customer_id in (select customer_id from notes)
    ),

    entries as (
        select *
        from sales
        union all
        select *
        from notes
    ),

    dated as (
        select
            entries.*,
            cast(known_at as date) as known_on,
            min(cast(known_at as date)) over (partition by customer_id, unit_id, is_refund) as first_known_on
        from entries
    ),

    units as (
        select
            customer_id,
            unit_id,
            is_refund,
            'order' as subject,
            min(currency) as currency,
            abs(sum(source_amount)) as price,
            min(occurred_at) as occurred_at,
            max(known_at) as known_at
        from dated
        where known_on = first_known_on
        group by customer_id, unit_id, is_refund
        having min(currency) = max(currency) and sum(source_amount) <> 0
    ),

    {{ taken_back("units") }}

select customer_id, sale_id as order_id, refund_id as note_id, sold_at, refunded_at
from taken_back
