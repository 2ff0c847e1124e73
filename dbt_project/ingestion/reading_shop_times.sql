-- How times as shops write them become the plain text that the checks read (clean_text first). One that
-- fits no rule stays as it is, so that the check names it.
--
-- A time tidied for strptime: one space between its parts, dashes in its date, AM or PM apart, English
-- months, no comma but a point before fractions of a second, and without its offset.
create or replace temp macro tidy_time(value) as
    trim(
        regexp_replace(
            regexp_replace(
                regexp_replace(
                    regexp_replace(
                        regexp_replace(
                            regexp_replace(value, '(:\d{2}),(\d)', '\1.\2'),
                            '^(\d{1,4})[./年](\d{1,2}|[A-Za-z]+)[./月]',
                            '\1-\2-'
                        ),
                        '(?i) ?([ap])[.]?m[.]?$',
                        ' \1M'
                    ),
                    '^(\d{1,4}-\d{1,2}-\d{1,4})[T日]',
                    '\1 '
                ),
                ' ?(UTC|GMT|Z|[+-]\d{2}(:?\d{2})?)$',
                case when regexp_matches(value, ':\d{2}') then '' else '\1' end
            ),
            '[, ]+',
            ' ',
            'g'
        )
    );

create or replace temp macro offset_of(value) as
    case
        when regexp_matches(value, ':\d{2}.*(UTC|GMT|Z)$')
        then '+00:00'
        else regexp_extract(value, ':\d{2}[\d:.,]* ?([+-]\d{2}(:?\d{2})?)$', 1)
    end;

-- 'tidy' is tidy_time(value); 'formats' are strptime's, tried in this order; what fits none stays as it is.
create or replace temp macro shop_time(value, tidy, formats) as
    case
        when utc_instant(value) is not null
        then value
        else
            coalesce(
                strftime(try_strptime(tidy, formats), '%Y-%m-%d %H:%M:%S.%f') || offset_of(value),
                value
            )
    end;

-- Seconds, milliseconds or microseconds since 1970, by the number of digits.
create or replace temp macro epoch_time(value) as
    case
        when regexp_full_match(value, '\d{10}|\d{13}|\d{16}')
        then
            strftime(
                make_timestamp(
                    cast(value as bigint)
                    * case length(value) when 10 then 1000000 when 13 then 1000 else 1 end
                ),
                '%Y-%m-%d %H:%M:%S.%f'
            ) || '+00:00'
        else value
    end;

-- A time without an offset on the clock of its own zone; on the feed's where that is NULL.
create or replace temp macro zoned_time(value, zone) as
    case
        when zone is not null and regexp_full_match(dashed(value), '\d{4}-\d{1,2}-\d{1,2}([ Tt][\d:.]+)?')
        then
            strftime(
                timezone(zone, try_cast(dashed(value) as timestamp)) at time zone 'UTC', '%Y-%m-%d %H:%M:%S.%f'
            ) || '+00:00'
        else value
    end;

-- When money went back: a day without a clock that is the day of the sale is the moment of the sale, or the
-- refund would come before it; no day at all is the sale's.
create or replace temp macro refund_time(told, sold) as
    case
        when starts_with(sold, regexp_replace(told, '[ T]00:00(:00([.]0+)?)?$', ''))
        then sold
        else coalesce(told, sold)
    end;

-- The two numbers of a date that may be day and month.
create or replace temp macro day_or_month(value, place) as
    try_cast(
        regexp_extract(value, '^(\d{1,2})[./-](\d{1,2})[./-](\d{4}|\d{2})(\D.*)?$', place) as integer
    );

-- Days as spreadsheets count them since 1900, from 1954 up to 2064; a fraction is the time of day.
create or replace temp macro is_serial_time(value) as
    coalesce(regexp_full_match(value, '[2-5]\d{4}([.,]\d+)?'), false);

create or replace temp macro serial_time(value) as
    case
        when is_serial_time(value)
        then
            strftime(
                timestamp '1899-12-30'
                + to_seconds(cast(round(try_cast(replace(value, ',', '.') as double) * 86400) as bigint)),
                '%Y-%m-%d %H:%M:%S'
            )
        else value
    end;
