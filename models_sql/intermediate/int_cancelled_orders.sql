-- Grain: customer_id x order_id, for orders that came to zero with the refunds that name them; lines that a
-- refund under a number of its own took back are left out of the balance from then on.
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
            case when names_its_sale then 1 else 0 end as named,
            0 as paired
        from lines
        where not is_refund or names_its_sale
        union all
        select customer_id, order_id, refunded_at, - source_amount, 0 as named, 1 as paired
        from pairs
    ),

    steps as (
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
            sum(amount_change) over (
                partition by customer_id, order_id
                order by known_at
                rows between unbounded preceding and current row
            ) as balance
        from steps
    )

select customer_id, order_id, min(known_at) as voided_at
from balances
where balance = 0 and refund_count > 0 and named_so_far > 0
group by customer_id, order_id
