-- Grain: one row per row of the feed, typed, with the first reason against it (NULL: kept) and whether it
-- is new. Which of its rows are one event: reads judged_events, known_events and ingest_settings (one
-- row).
with
    settings as (select * from ingest_settings),

    -- From here to copies: good rows only, and only what identity needs, so that sorting them stays cheap.
    counted as (
        select
            feed_row,
            settings.event_id_rule,
            settings.preset,
            given_id,
            content,
            row_number() over (partition by content order by recorded_at, feed_row) as occurrence
        from judged_events
        cross join settings
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
            judged.feed_row,
            compared.event_id,
            judged.customer_id,
            judged.event_type,
            judged.occurred_at,
            judged.recorded_at,
            judged.session_id,
            judged.order_id,
            judged.product_id,
            judged.category,
            judged.quantity,
            judged.amount,
            judged.currency,
            coalesce(judged.own_reason, compared.copy_reason) as reason,
            reason is null and not compared.is_known as is_new
        from judged_events as judged
        left join compared on judged.feed_row = compared.feed_row
    )

select *
from checked
