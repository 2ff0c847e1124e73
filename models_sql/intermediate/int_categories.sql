-- Grain: one row per customer, category and day on which spend in it became known or came to nothing.
-- Amounts are changes, so that sums up to a date give what was known then.
with
    lines as (select * from {{ ref("int_money_lines") }} where not is_refund and category is not null),

    changes as (
        select customer_id, category, known_at as changed_at, amount
        from lines
        union all
        select customer_id, category, voided_at, - amount
        from lines
        where voided_at is not null
    )

select
    cast(customer_id as string) as customer_id,
    cast(category as string) as category,
    cast(changed_at as date) as known_on,
    cast(sum(amount) as decimal(18, 2)) as amount_change
from changes
group by customer_id, category, cast(changed_at as date)
