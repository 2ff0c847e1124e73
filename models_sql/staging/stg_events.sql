-- Grain: one row an event, as delivered. Casts, and money converted at the rate of its day; nothing else.
with
    delivered as (select * from {{ source("raw", "events") }}),

    rates as (select * from {{ ref("stg_fx_rates") }}),

    events as (
        select
            -- ids
            cast(event_id as string) as event_id,
            cast(customer_id as string) as customer_id,
            cast(session_id as string) as session_id,
            cast(order_id as string) as order_id,
            cast(product_id as string) as product_id,
            cast(category as string) as category,

            -- what and when (UTC)
            cast(event_type as string) as event_type,
            cast(occurred_at as timestamp) as occurred_at,
            greatest(
                cast(occurred_at as timestamp),
                coalesce(cast(recorded_at as timestamp), cast(occurred_at as timestamp))
            ) as known_at,

            -- amounts
            cast(quantity as decimal(18, 3)) as quantity,
            cast(amount as decimal(18, 2)) as source_amount,
            cast(currency as string) as currency
        from delivered
    )

select
    events.*,
    case
        when events.currency = '{{ setting("reporting_currency") }}'
        then events.source_amount
        else {{ money("events.source_amount * rates.rate_to_reporting") }}
    end as amount
from events
left join
    rates
    on rates.currency = events.currency
    and rates.valid_from <= events.occurred_at
    and (rates.valid_until is null or rates.valid_until > events.occurred_at)
