-- Grain: one row per event of the feed: its text as values. A row of the feed may hold several events, its
-- parts; what is skipped is not looked at. A number or an instant that cannot be read is NULL; whether there
-- was any text is kept beside it. Reads mapped (text).
create or replace temp view typed_events as
with
    cleaned as (
        select
            feed_row,
            feed_row * 10000 + part as event_row,
            fault,
            clean_id(event_id) as event_id,
            clean_id(customer_id) as customer_id,
            lower(clean_text(event_type)) as event_type,
            clean_text(occurred_at) as occurred_at,
            clean_text(recorded_at) as recorded_at,
            clean_id(session_id) as session_id,
            clean_id(order_id) as order_id,
            clean_id(product_id) as product_id,
            clean_text(category) as category,
            clean_text(quantity) as quantity,
            clean_text(amount) as amount,
            upper(clean_text(currency)) as currency,
            has_nul(
                concat(
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
                    currency
                )
            ) as has_nul
        from mapped
        where skip is null
    )

select
    feed_row,
    event_row,
    fault,
    event_id as given_id,
    customer_id,
    event_type,
    utc_instant(occurred_at) as occurred_at,
    utc_instant(recorded_at) as told_at,
    session_id,
    order_id,
    product_id,
    category,
    quantity_of(quantity) as quantity,
    money(amount) as amount,
    currency,
    has_nul,
    event_type in ('purchase', 'refund') as is_money,
    recorded_at is not null as has_recorded_at,
    quantity is not null as has_quantity,
    amount is not null as has_amount
from cleaned
