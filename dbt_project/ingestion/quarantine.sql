-- Grain: one row per quarantined row of the feed: those that failed a check, and lines that are no row at all.
-- quarantine_id is the same whenever the same text fails for the same reason, so that feeding a file twice adds nothing.
with
    settings as (select * from ingest_settings),

    -- Lines rejected before a row stand in the file but not in feed_row.
    skipped as (
        select rows_before, max(reject_number) as lines_before from feed_rejects group by rows_before
    ),

    failed as (
        select
            checked.feed_row + settings.header_lines + coalesce(skipped.lines_before, 0) as line_number,
            checked.reason,
            feed_texts.raw_text
        from checked
        inner join feed_texts on checked.feed_row = feed_texts.feed_row
        cross join settings
        asof left join skipped on checked.feed_row > skipped.rows_before
        where checked.reason is not null
    ),

    rejected as (
        select line_number, reason, raw_text from failed
        union all
        select line_number, reason, raw_text from feed_rejects
    ),

    numbered as (
        select
            *,
            row_number() over (partition by reason, raw_text order by line_number) as occurrence
        from rejected
    )

select
    md5(concat_ws(chr(31), preset, reason, cast(occurrence as varchar), raw_text)) as quarantine_id,
    ingested_at as quarantined_at,
    source,
    line_number,
    reason,
    raw_text
from numbered
cross join settings
