-- Grain: one row per customer, category and day on which spend in it became known or came to nothing.
-- Amounts are changes, so that sums up to a date give what was known then; those of a past history end with
-- it.
with
    histories as (select * from {{ ref("int_histories") }}),

    lines as (select * from {{ ref("int_money_lines") }} where not is_refund and category is not null),

    changes as (
        select customer_id, category, known_at as known_from, amount
        from lines
        union all
        select customer_id, category, voided_at as known_from, - amount
        from lines
        where voided_at is not null
    ),

    states as (select changes.*, cast(null as timestamp) as known_until from changes),

    {{ states_of_customers("states") }}

select
    cast(person_id as string) as customer_id,
    cast(category as string) as category,
    cast(counts_from as date) as known_on,
    cast(counts_until as date) as known_until,
    cast(sum(amount) as decimal(18, 2)) as amount_change
from states_of_customers
group by person_id, category, cast(counts_from as date), cast(counts_until as date)
