-- Grain: one row per event of the feed, typed, with the first reason against its row (NULL: kept) and
-- whether it is new. Which events are one and the same: reads judged_events, known_events and
-- ingest_settings (one row). A row of the feed is kept as a whole or not at all.
with
    settings as (select * from ingest_settings),

    -- From here to copies: good rows only, and only what identity needs, so that sorting them stays cheap.
    counted as (
        select
            event_row,
            settings.event_id_rule,
            settings.id_space,
            given_id,
            content,
            row_number() over (partition by content order by recorded_at, event_row) as occurrence
        from judged_events
        cross join settings
        where own_reason is null
    ),

    identified as (
        select
            event_row,
            content,
            case
                event_id_rule
                when 'given'
                then given_id
                when 'content'
                then md5(concat_ws(chr(31), id_space, content))
                when 'numbered copies'
                then md5(concat_ws(chr(31), id_space, content, cast(nullif(occurrence, 1) as varchar)))
                else md5(concat_ws(chr(31), id_space, content, cast(occurrence as varchar)))
            end as event_id
        from counted
    ),

    copies as (
        select
            event_row,
            event_id,
            content,
            row_number() over same_id as copy,
            first_value(content) over same_id as first_content
        from identified
        window same_id as (partition by event_id order by event_row)
    ),

    compared as (
        select
            copies.event_row,
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

    -- One reason a row, so that a bad part keeps its good ones out.
    refused as (
        select judged.feed_row, min_by(coalesce(own_reason, copy_reason), judged.event_row) as reason
        from judged_events as judged
        left join compared on judged.event_row = compared.event_row
        where coalesce(own_reason, copy_reason) is not null
        group by judged.feed_row
    ),

    -- What comes again after its feed was taken back becomes known then.
    undone as (select event_id, max(undone_at) as undone_at from known_undone_events group by event_id),

    checked as (
        select
            judged.feed_row,
            compared.event_id,
            judged.customer_id,
            judged.event_type,
            judged.occurred_at,
            greatest(judged.recorded_at, undone.undone_at) as recorded_at,
            judged.session_id,
            judged.order_id,
            judged.product_id,
            judged.category,
            judged.quantity,
            judged.amount,
            judged.currency,
            refused.reason,
            refused.reason is null and not compared.is_known as is_new
        from judged_events as judged
        left join compared on judged.event_row = compared.event_row
        left join refused on judged.feed_row = refused.feed_row
        left join undone on compared.event_id = undone.event_id
    )

select *
from checked
