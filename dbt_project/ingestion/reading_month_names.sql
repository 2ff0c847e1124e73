-- How dates whose month is a word become dates with its number (plain_digits first).
--
-- A date whose month is a word: its parts d, m and y, and the clock behind it, in the order day, month, year,
-- or month, day, year, or year, month, day. No part is NULL; all are empty where it is none.
create or replace temp macro worded_date(value) as
    case
        when regexp_matches(value, '^([\pL\pM]+[.,]? +)?\d{1,2}\D')
        then
            regexp_extract(
                value,
                '^(?:[\pL\pM]+[.,]? +)?(\d{1,2})(?:er|st|nd|rd|th|[.ºª°])?[ .-]*(?:de |of |d[''’])?'
                || '([\pL\pM]{3,})[.,]?[ .,-]*(?:de |del )?(\d{4}|\d{2})(?:[^\d]+(\d.*))?$',
                ['d', 'm', 'y', 'clock']
            )
        when regexp_matches(value, '^\d{4}')
        then
            regexp_extract(
                value,
                '^(\d{4})[ .-]+([\pL\pM]{3,})[. -]+(\d{1,2})[.]?(?:[^\d]+(\d.*))?$',
                ['y', 'm', 'd', 'clock']
            )
        else
            regexp_extract(
                value,
                '^([\pL\pM]{3,})[. -]+(\d{1,2})[.,]?[ ,-]+(\d{4}|\d{2})(?:[^\d]+(\d.*))?$',
                ['m', 'd', 'y', 'clock']
            )
    end;

create or replace temp macro month_word(value) as worded_date(value).m;

-- The same date with its month as a number, where 'words' knows the word.
create or replace temp macro numbered_date(value, date_parts, number) as
    case
        when number is null
        then value
        else
            trim(
                lpad(date_parts.y, 4, '20') || '-' || number || '-'
                || lpad(date_parts.d, 2, '0') || ' ' || date_parts.clock
            )
    end;

create or replace temp macro named_month(value, words) as
    numbered_date(value, worded_date(value), words[lower(month_word(value))]);
