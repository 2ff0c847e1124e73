-- Grain: one row per customer of whom a feed was taken back, and stretch of dates between such moments.
-- As of the dates in (known_from, known_until] the customer's history holds what had not been taken back by
-- then. The last stretch bears the customer's own number; the others are read as customers of their own, so
-- that no order or return of one meets those of another.
with
    ids as (select * from {{ ref("int_customer_ids") }}),

    undone as (
        select customer_id, undone_at
        from {{ ref("stg_told_events") }}
        where undone_at is not null
        union
        select customer_id, undone_at
        from {{ ref("stg_undone_attributes") }}
    ),

    moments as (
        select distinct coalesce(ids.customer_id, undone.customer_id) as customer_id, undone.undone_at
        from undone
        left join ids on ids.old_customer_id = undone.customer_id
    ),

    stretches as (
        select
            customer_id,
            lag(undone_at) over (partition by customer_id order by undone_at nulls last) as known_from,
            undone_at as known_until
        from moments
        union all
        select customer_id, max(undone_at) as known_from, cast(null as timestamp) as known_until
        from moments
        group by customer_id
    )

select
    cast(
        customer_id
        || coalesce({{ past_mark() }} || cast({{ epoch_seconds("known_until") }} as string), '') as string
    ) as history_id,
    cast(customer_id as string) as customer_id,
    cast(known_from as timestamp) as known_from,
    cast(known_until as timestamp) as known_until
from stretches
