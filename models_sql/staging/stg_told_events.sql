-- Grain: one row an event, as delivered, whether or not its feed was taken back. Casts, and money converted
-- at the rate of its day; nothing else. Pieces and money that no line can hold are NULL, so that no sum
-- leaves its type. Money whose rates lead to another reporting currency is refused.
{{ config(post_hook="{{ refuse_unrated_money() }}") }}

with
    delivered as (
        select
            event_id,
            customer_id,
            event_type,
            occurred_at,
            recorded_at,
            session_id,
            order_id,
            product_id,
            category,
            quantity,
            amount,
            currency,
            cast(null as timestamp) as undone_at
        from {{ source("raw", "events") }}
        union all
        select
            event_id,
            customer_id,
            event_type,
            occurred_at,
            recorded_at,
            session_id,
            order_id,
            product_id,
            category,
            quantity,
            amount,
            currency,
            undone_at
        from {{ source("raw", "undone_events") }}
    ),

    rates as (select * from {{ ref("stg_reporting_rates") }}),

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
            case
                when abs(quantity) < {{ largest_quantity() }} then cast(quantity as decimal(18, 3))
            end as quantity,
            cast(amount as decimal(18, 2)) as source_amount,
            cast(currency as string) as currency,
            cast(undone_at as timestamp) as undone_at
        from delivered
    ),

    rated as (
        select events.*, cast(events.source_amount as decimal(19, 2)) * rates.rate_to_reporting as converted
        from events
        left join rates on {{ rate_holds("events.currency", "events.occurred_at") }}
    )

select
    event_id,
    customer_id,
    session_id,
    order_id,
    product_id,
    category,
    event_type,
    occurred_at,
    known_at,
    undone_at,
    quantity,
    source_amount,
    currency,
    case
        when currency = '{{ setting("reporting_currency") }}'
        then source_amount
        when abs(converted) < {{ largest_amount() }}
        then {{ money("converted") }}
    end as amount
from rated
