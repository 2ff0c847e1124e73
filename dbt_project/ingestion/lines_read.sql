-- One number: the lines of the file that the rows and rejects stand for; a quoted value may hold line ends
-- of its own.
with
    texts as (
        select concat_ws('', * columns(* exclude (feed_row))) as value
        from feed_rows
        union all
        select raw_text
        from feed_rejects
    )

select
    count(*) + coalesce(
        sum(len(regexp_extract_all(value, '(\r\n|\n|\r)'))) filter (regexp_matches(value, '[\r\n]')), 0
    )
from texts
