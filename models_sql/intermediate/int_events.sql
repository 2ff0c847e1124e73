-- Grain: one row an event, under the customer number that stands today, and one for each past stretch of the
-- customer's history that it belongs to. Money without a rate is left aside; it stands in
-- `int_unconverted_events` until a rate arrives.
{{ config(materialized="view") }}

with
    told as (select * from {{ ref("stg_told_events") }}),

    ids as (select * from {{ ref("int_customer_ids") }}),

    histories as (select * from {{ ref("int_histories") }}),

    events as (
        select told.*, coalesce(ids.customer_id, told.customer_id) as person_id
        from told
        left join ids on ids.old_customer_id = told.customer_id
        where told.event_type not in ('purchase', 'refund') or told.amount is not null
    ),

    placed as (
        select
            events.*,
            coalesce(histories.history_id, events.person_id) as history_id,
            histories.known_from as counts_from,
            histories.known_until as counts_until
        from events
        left join histories on histories.customer_id = events.person_id
        where {{ belongs_to_history("events") }}
    )

select
    event_id || substr(history_id, length(person_id) + 1) as event_id,
    history_id as customer_id,
    session_id,
    order_id,
    product_id,
    category,
    event_type,
    occurred_at,
    known_at,
    counts_from,
    counts_until,
    quantity,
    source_amount,
    currency,
    amount
from placed
