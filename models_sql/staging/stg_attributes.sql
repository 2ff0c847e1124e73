-- Grain: one row per customer number and second from which its attributes were known. Of two rows for one
-- second one that can be read counts, the alphabetically first.
with
    delivered as (select * from {{ source("raw", "attributes") }}),

    ranked as (
        select
            cast(customer_id as string) as customer_id,
            cast(date_trunc('second', known_at) as timestamp) as known_at,
            cast(attributes as string) as attributes,
            row_number() over (
                partition by customer_id, date_trunc('second', known_at)
                order by
                    case when {{ attributes_are_read() }} then 0 else 1 end nulls last,
                    cast(attributes as string) nulls last
            ) as place
        from delivered
        where known_at is not null
    )

select customer_id, known_at, attributes
from ranked
where place = 1
