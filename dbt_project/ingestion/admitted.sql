-- Grain: one row per row that an earlier feed refused and this one admits. It is known by the same text, the
-- same line of an order, or, where it does not say what it is about, the same line of a file of the same
-- name.
with
    settings as (select * from ingest_settings),

    standing as (
        select refused.quarantine_id, refused.source, refused.line_number, refused.raw_text, money.row_key
        from known_quarantine as refused
        left join known_refused_money as money on money.quarantine_id = refused.quarantine_id
        where
            refused.quarantine_id not in (select quarantine_id from known_admitted)
            and refused.quarantine_id not in (select quarantine_id from rejected)
            and refused.raw_text <> ''
    ),

    kept_texts as (
        select feed_texts.raw_text
        from feed_texts
        where feed_texts.feed_row in (select feed_row from checked where reason is null)
    ),

    refused_lines as (select line_number from rejected where line_number is not null)

select standing.quarantine_id, settings.ingested_at as admitted_at
from standing
cross join settings
where
    standing.raw_text in (select raw_text from kept_texts)
    or standing.row_key in (select row_key from kept_keys)
    or (
        standing.row_key is null
        and split_part(standing.source, ':', 2) = split_part(settings.source, ':', 2)
        and standing.line_number <= (select count(*) from feed_rows) + settings.header_lines
        and standing.line_number not in (select line_number from refused_lines)
    )
