-- Grain: one row per line of a CSV that is no row, from what the reader rejected. One record may have
-- several errors: the first one names it. A quote that runs over the end of its line spoils each line up
-- to the next quote, and each of them is rejected as a line of its own.
with
    records as (
        select
            min(line) as line,
            min_by(error_type, byte_position) as error_type,
            regexp_replace(min_by(csv_line, byte_position), '^[\r\n]+', '') as raw_text,
            cast(row_number() over (order by line_byte_position) as bigint) as record_number
        from feed_reject_errors
        group by line_byte_position
    ),

    reasons as (
        select
            *,
            cast(line as bigint) - 1 - record_number as rows_before,
            case
                error_type
                when 'MISSING COLUMNS'
                then 'too_few_fields'
                when 'TOO MANY COLUMNS'
                then 'too_many_fields'
                when 'INVALID ENCODING'
                then 'not_utf8'
                when 'LINE SIZE OVER MAXIMUM'
                then 'line_too_long'
                else 'bad_quotes'
            end as reason
        from records
    ),

    lines as (
        select
            *,
            case
                when reason = 'bad_quotes'
                then regexp_split_to_array(regexp_replace(raw_text, '(\r\n|\n|\r)$', ''), '(\r\n|\n|\r)')
                else [raw_text]
            end as raw_lines
        from reasons
    ),

    -- The reader counts a record as one line, however many it runs over.
    placed as (
        select
            *,
            line + sum(len(raw_lines) - 1) over (order by record_number) - (len(raw_lines) - 1) as first_line
        from lines
    ),

    numbered as (
        select
            record_number,
            reason,
            rows_before,
            first_line,
            unnest(raw_lines) as raw_text,
            generate_subscripts(raw_lines, 1) as part
        from placed
    )

select
    cast(first_line + part - 1 as bigint) as line_number,
    reason,
    raw_text,
    row_number() over (order by record_number, part) as reject_number,
    rows_before
from numbered
where raw_text <> ''
