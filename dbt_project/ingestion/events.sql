-- Grain: one row per row of the feed, typed, with the first reason against it (NULL: kept) and whether it
-- is new.
-- Reads mapped (text), known_events, known_rates and ingest_settings (one row).
with
    settings as (select * from ingest_settings),

    rates as (
        select currency as rated_currency, min(valid_from) as rated_from from known_rates group by currency
    ),

    cleaned as (
        select
            feed_row,
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
    ),

    typed as (
        select
            feed_row,
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
    ),

    judged as (
        select
            typed.*,
            settings.*,
            case
                when is_erased(customer_id)
                then 'erased'
                when has_nul
                then 'nul_byte'
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
                when occurred_at < timestamp '1970-01-01'
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
        from typed
        cross join settings
        left join rates on rates.rated_currency = typed.currency
    ),

    described as materialized(
        select
            *,
            -- An event cannot be known before it happens, and one that comes without a date of knowledge
            -- must not
            -- enter a feature date that was built without it.
            greatest(occurred_at, coalesce(told_at, built_as_of, occurred_at)) as recorded_at,
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
    ),

    -- From here to copies: good rows only, and only what identity needs, so that sorting them stays cheap.
    counted as (
        select
            feed_row,
            event_id_rule,
            preset,
            given_id,
            content,
            row_number() over (partition by content order by recorded_at, feed_row) as occurrence
        from described
        where own_reason is null
    ),

    identified as (
        select
            feed_row,
            content,
            case
                event_id_rule
                when 'given'
                then given_id
                when 'content'
                then md5(concat_ws(chr(31), preset, content))
                else md5(concat_ws(chr(31), preset, content, cast(occurrence as varchar)))
            end as event_id
        from counted
    ),

    copies as (
        select
            feed_row,
            event_id,
            content,
            row_number() over same_id as copy,
            first_value(content) over same_id as first_content
        from identified
        window same_id as (partition by event_id order by feed_row)
    ),

    compared as (
        select
            copies.feed_row,
            copies.event_id,
            known.event_id is not null as is_known,
            case
                when
                    copies.content <> case
                        when known.event_id is null
                        then copies.first_content
                        else
                            event_content(
                                known.customer_id,
                                known.event_type,
                                known.occurred_at,
                                known.session_id,
                                known.order_id,
                                known.product_id,
                                known.category,
                                known.quantity,
                                known.amount,
                                known.currency
                            )
                    end
                then 'conflicting_event'
                when copies.copy > 1
                then 'duplicate'
            end as copy_reason
        from copies
        left join known_events as known on copies.event_id = known.event_id
    ),

    checked as (
        select
            described.feed_row,
            compared.event_id,
            described.customer_id,
            described.event_type,
            described.occurred_at,
            described.recorded_at,
            described.session_id,
            described.order_id,
            described.product_id,
            described.category,
            described.quantity,
            described.amount,
            described.currency,
            coalesce(described.own_reason, compared.copy_reason) as reason,
            reason is null and not compared.is_known as is_new
        from described
        left join compared on described.feed_row = compared.feed_row
    )

select *
from checked
