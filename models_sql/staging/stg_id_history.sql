-- Grain: one row per replaced customer number. Of several replacements the latest counts.
with
    delivered as (select * from {{ source("raw", "id_history") }}),

    ranked as (
        select
            cast(old_customer_id as string) as old_customer_id,
            cast(new_customer_id as string) as new_customer_id,
            cast(merged_at as timestamp) as merged_at,
            row_number() over (
                partition by old_customer_id order by merged_at desc, new_customer_id
            ) as newest_first
        from delivered
        where old_customer_id <> new_customer_id
    )

select old_customer_id, new_customer_id, merged_at
from ranked
where newest_first = 1
