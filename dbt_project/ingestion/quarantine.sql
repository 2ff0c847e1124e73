-- Grain: one row per quarantined row of the feed: those that failed a check, and lines that are no row at
-- all. quarantine_id is the same whenever the same text fails for the same reason, so that feeding a file
-- twice adds nothing.
with
    settings as (select * from ingest_settings),

    -- Lines rejected before a row stand in the file but not in feed_row.
    skipped as (
        select rows_before, max(reject_number) as lines_before from feed_rejects group by rows_before
    ),

    refused as (select distinct feed_row, reason from checked where reason is not null),

    failed as (
        select
            refused.feed_row,
            refused.feed_row + settings.header_lines + coalesce(skipped.lines_before, 0) as line_number,
            refused.reason,
            case when refused.reason = 'erased' then '' else feed_texts.raw_text end as raw_text
        from refused
        inner join feed_texts on refused.feed_row = feed_texts.feed_row
        cross join settings
        asof left join skipped on refused.feed_row > skipped.rows_before
    ),

    -- A line that is no row may still name a customer who was erased: as a word, as a whole field, or
    -- between quotes, where an id may have any character and a quote stands twice.
    names as (
        select reject_number, unnest(regexp_split_to_array(raw_text, '[,;|"\s]+')) as name
        from feed_rejects
        union all
        select reject_number, unnest(regexp_split_to_array(raw_text, '[,;|\t]')) as name
        from feed_rejects
        union all
        select
            reject_number,
            replace(unnest(regexp_extract_all(raw_text, '"((?:[^"]|"")*)"', 1)), '""', '"') as name
        from feed_rejects
    ),

    erased as (select distinct reject_number from names where is_erased(clean_id(name))),

    rejected as (
        select feed_row, line_number, reason, raw_text
        from failed
        union all
        select
            null as feed_row,
            feed_rejects.line_number,
            case when erased.reject_number is not null then 'erased' else feed_rejects.reason end as reason,
            case when erased.reject_number is not null then '' else feed_rejects.raw_text end as raw_text
        from feed_rejects
        left join erased on feed_rejects.reject_number = erased.reject_number
    ),

    numbered as (
        select *, row_number() over (partition by reason, raw_text order by line_number) as occurrence
        from rejected
    )

select
    md5(
        concat_ws(
            chr(31),
            preset,
            reason,
            cast(occurrence as varchar),
            case
                when reason = 'erased'
                then concat_ws(chr(31), source, cast(line_number as varchar))
                else raw_text
            end
        )
    ) as quarantine_id,
    ingested_at as quarantined_at,
    source,
    line_number,
    reason,
    raw_text,
    feed_row
from numbered
cross join settings
