-- Grain: one row per event of the feed, with the first reason of its own against it (NULL: none). Also when
-- it counts as known, and what makes it the same event as another. Reads typed_events, rated_currencies
-- and ingest_settings.
create or replace temp table judged_events as
with
    settings as (select * from ingest_settings),

    rates as (
        select currency as rated_currency, rated_from
        from rated_currencies((select reporting_currency from ingest_settings))
    ),

    judged as (
        select
            typed.*,
            settings.built_as_of,
            case
                when is_erased(customer_id)
                then 'erased'
                when has_nul
                then 'nul_byte'
                when fault is not null
                then fault
                when event_id_rule = 'given' and given_id is null
                then 'no_event_id'
                when customer_id is null
                then 'no_customer_id'
                when
                    event_type is null
                    or event_type not in ('purchase', 'refund', 'page_view', 'add_to_cart', 'session_start')
                then 'unknown_event_type'
                when occurred_at is null
                then 'invalid_occurred_at'
                when is_placeholder(occurred_at)
                then 'before_1970'
                when has_recorded_at and told_at is null
                then 'invalid_recorded_at'
                when occurred_at > ingested_at or told_at > ingested_at
                then 'in_the_future'
                when is_money and order_id is null
                then 'no_order_id'
                when has_quantity and quantity is null
                then 'invalid_quantity'
                when (is_money or has_amount) and amount is null
                then 'invalid_amount'
                when (event_type = 'purchase' and amount < 0) or (event_type = 'refund' and amount > 0)
                then 'wrong_sign'
                when (is_money and currency is null) or not regexp_full_match(currency, '[A-Z]{3}')
                then 'invalid_currency'
                when
                    is_money
                    and currency <> reporting_currency
                    and (rated_from is null or rated_from > occurred_at)
                then 'no_fx_rate'
            end as own_reason
        from typed_events as typed
        cross join settings
        left join rates on rates.rated_currency = typed.currency
    )

select
    feed_row,
    event_row,
    given_id,
    customer_id,
    event_type,
    occurred_at,
    -- An event cannot be known before it happens, and one that comes without a date of knowledge must not
    -- enter a feature date that was built without it.
    greatest(occurred_at, coalesce(told_at, built_as_of, occurred_at)) as recorded_at,
    session_id,
    order_id,
    product_id,
    category,
    quantity,
    amount,
    currency,
    own_reason,
    event_content(
        customer_id,
        event_type,
        occurred_at,
        session_id,
        order_id,
        product_id,
        category,
        quantity,
        amount,
        currency
    ) as content
from judged
