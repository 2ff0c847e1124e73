-- Grain: customer_id x order_id, for orders that came to nothing with the refunds that name them; lines
-- that a refund under a number of its own took back are left out of the balance from then on. What was
-- given back beyond the order, or a rounding difference that was kept, is the rest.
{{ config(materialized="view") }}

with
    lines as (select * from {{ ref("int_order_lines") }}),

    pairs as (select * from {{ ref("int_line_pairs") }}),

    changes as (
        select
            customer_id,
            order_id,
            known_at,
            source_amount,
            case when is_refund then 0 else source_amount end as sold,
            case when names_its_sale then 1 else 0 end as named,
            0 as paired
        from lines
        where not is_refund or names_its_sale
        union all
        select customer_id, order_id, refunded_at, - source_amount, - source_amount, 0 as named, 1 as paired
        from pairs
    ),

    steps as (
        select
            customer_id,
            order_id,
            known_at,
            sum(source_amount) as amount_change,
            sum(sold) as sold_change,
            sum(named) as named_count,
            sum(named + paired) as refund_count
        from changes
        group by customer_id, order_id, known_at
    ),

    balances as (
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
            sum(sold_change) over (
                partition by customer_id, order_id
                order by known_at
                rows between unbounded preceding and current row
            ) as sold_so_far,
            sum(amount_change) over (
                partition by customer_id, order_id
                order by known_at
                rows between unbounded preceding and current row
            ) as balance
        from steps
    ),

    cancelled as (
        select balances.*, row_number() over (partition by customer_id, order_id order by known_at) as place
        from balances
        where refund_count > 0 and named_so_far > 0 and {{ is_taken_back("sold_so_far", "balance") }}
    )

select customer_id, order_id, known_at as voided_at, cast(balance as decimal(18, 2)) as rest_amount
from cancelled
where place = 1
