-- Grain: one row per money event whose currency has no rate at its day. Such money is never summed.
{{ config(materialized="view") }}

with events as (select * from {{ ref("stg_events") }})

select event_id, customer_id, event_type, occurred_at, order_id, source_amount, currency
from events
where event_type in ('purchase', 'refund') and amount is null
