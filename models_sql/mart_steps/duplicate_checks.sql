-- Grain: one row per subject: what stands twice. An identity that does is counted twice; rows alike in
-- all but identity may be right.
with
    events as (select * from {{ ref("stg_events") }}),

    alike as (
        select count(*) as row_count
        from events
        where event_type in ('purchase', 'refund')
        group by customer_id, event_type, occurred_at, order_id, product_id, quantity, source_amount, currency
    ),

    counted as (
        select
            'events with the id of another' as subject,
            cast(count(event_id) - count(distinct event_id) as double) as measured_value
        from events
        union all
        select
            'money lines alike' as subject,
            {{ ratio("sum(row_count - 1)", "sum(row_count)") }} as measured_value
        from alike
    )

select
    cast('duplicates' as string) as check_name,
    cast(subject as string) as subject,
    cast(null as string) as source,
    measured_value,
    cast(null as double) as usual_value,
    cast(null as timestamp) as newest_at
from counted
