-- Grain: one row per order and state of knowledge about it. An order's value changes when a line arrives
-- late or is voided; each state holds for the dates in (known_from, known_until], so every date sees the
-- order as it was known then. Only states in which the order stands (at least one line not voided) are
-- kept.
with
    histories as (select * from {{ ref("int_histories") }}),

    lines as (select * from {{ ref("int_money_lines") }} where not is_refund),

    changes as (
        select customer_id, order_id, known_at as changed_at, occurred_at, amount, quantity, 1 as line_change
        from lines
        union all
        select customer_id, order_id, voided_at, occurred_at, - amount, - quantity, -1 as line_change
        from lines
        where voided_at is not null
    ),

    steps as (
        select
            customer_id,
            order_id,
            changed_at,
            min(occurred_at) as occurred_at,
            sum(amount) as amount,
            sum(quantity) as quantity,
            sum(line_change) as line_change
        from changes
        group by customer_id, order_id, changed_at
    ),

    states as (
        select
            customer_id,
            order_id,
            changed_at as known_from,
            lead(changed_at) over (partition by customer_id, order_id order by changed_at) as known_until,
            min(occurred_at) over (
                partition by customer_id, order_id
                order by changed_at
                rows between unbounded preceding and current row
            ) as ordered_at,
            sum(amount) over (
                partition by customer_id, order_id
                order by changed_at
                rows between unbounded preceding and current row
            ) as order_value,
            sum(quantity) over (
                partition by customer_id, order_id
                order by changed_at
                rows between unbounded preceding and current row
            ) as item_count,
            sum(line_change) over (
                partition by customer_id, order_id
                order by changed_at
                rows between unbounded preceding and current row
            ) as line_count
        from steps
    ),

    standing as (select * from states where line_count > 0),

    {{ states_of_customers("standing") }}

select
    cast(person_id as string) as customer_id,
    cast(order_id as string) as order_id,
    cast(counts_from as timestamp) as known_from,
    cast(counts_until as timestamp) as known_until,
    cast(ordered_at as timestamp) as ordered_at,
    cast(order_value as decimal(18, 2)) as order_value,
    cast(item_count as decimal(18, 3)) as item_count,
    cast(line_count as int) as line_count
from standing_of_customers
