-- How text becomes a value: each rule once, as a macro. NULL means absent or unreadable.
--
-- Trimmed and in Unicode form NFC, with plain spaces for wide and no-break ones, and without characters of no
-- width, which nobody can see (joiners inside a word stay); empty is NULL. Most text is plain ASCII and needs
-- none of it, which is four times faster to see than to do.
create or replace temp macro clean_text(value) as
    case
        when regexp_full_match(value, '[!-~]([ -~]*[!-~])?')
        then value
        else
            nullif(
                regexp_replace(
                    regexp_replace(
                        regexp_replace(nfc_normalize(value), '[\x{200B}\x{2060}\x{FEFF}]', '', 'g'), '\p{Zs}', ' ', 'g'
                    ),
                    '^[\s\x{200C}\x{200D}]+|[\s\x{200C}\x{200D}]+$',
                    '',
                    'g'
                ),
                ''
            )
    end;

-- An instant in UTC from ISO 8601 text (clean_text first). With an offset, Z, UTC or GMT it is that
-- instant; without one it is the shop's clock (in_utc, made beside these for the zone of the feed); a date
-- alone is its midnight. Slashes between year, month and day, no dashes at all, and a comma before a
-- fraction are read too. Nothing else is a time: not a serial number, not an epoch, not 01/02/2011, not a
-- named zone, whose clock shows one hour twice a year. Seconds are added where an offset follows the
-- minutes, for the sake of DuckDB 1.5.
create or replace temp macro iso_text(value) as
    regexp_replace(
        regexp_replace(regexp_replace(upper(value), ' ?(UTC|GMT|Z)$', '+00:00'), ' ([+-])', '\1'),
        '([ T]\d{1,2}:\d{2})([+-])',
        '\1:00\2'
    );

create or replace temp macro dashed(value) as
    case
        when regexp_full_match(value, '\d{4}-[^,]*')
        then value
        else
            regexp_replace(
                regexp_replace(
                    regexp_replace(value, '(:\d{2}),(\d)', '\1.\2'),
                    '^(\d{4})(?:/(\d{1,2})/(\d{1,2})|(\d{2})(\d{2}))([T ].*)?$',
                    '\1-\2\4-\3\5\6'
                ),
                '^(\d{4}-\d{2}-\d{2}[T ])(\d{2})(\d{2})(\d{2})',
                '\1\2:\3:\4'
            )
    end;

create or replace temp macro iso_instant(value) as
    case
        when regexp_full_match(value, '\d{4}-\d{1,2}-\d{1,2}([ Tt]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?)?')
        then in_utc(try_cast(upper(value) as timestamp))
        when
            regexp_full_match(
                iso_text(value),
                '\d{4}-\d{1,2}-\d{1,2}[ T]\d{1,2}:\d{2}:\d{2}(\.\d+)?[+-](0\d|1[0-4])(:?[0-5]\d)?'
            )
        then try_cast(iso_text(value) as timestamptz) at time zone 'UTC'
    end;

create or replace temp macro utc_instant(value) as iso_instant(dashed(value));

-- A day of the calendar, on whatever clock; a time of day beside it is left out.
create or replace temp macro calendar_day(value) as
    try_cast(regexp_extract(dashed(value), '^(\d{4}-\d{1,2}-\d{1,2})([ Tt].*)?$', 1) as date);

-- Spreadsheets and shops write the first day of 1970, on any clock, for no date at all.
create or replace temp macro is_placeholder(instant) as instant < timestamp '1970-01-02';

-- What a row of money is about, so that it is found again when its time or its amount was corrected.
create or replace temp macro row_key(event_type, order_id, product_id) as
    case
        when order_id is not null then md5(concat_ws(chr(31), event_type, order_id, coalesce(product_id, '')))
    end;

create or replace temp macro has_nul(value) as contains(value, chr(0));

-- Whether `clv forget` erased the customer of this id (clean_id first). Reads known_erased.
create or replace temp macro is_erased(id) as
    coalesce(
        sha256((select min(salt) from known_erased) || id) in (select customer_hash from known_erased), false
    );

-- What makes two events the same event. When we learned of it does not: a feed may deliver one event twice.
create or replace temp macro event_content(
    customer_id, event_type, occurred_at, session_id, order_id, product_id, category, quantity, amount, currency
) as
    md5(
        concat_ws(
            chr(31),
            customer_id,
            event_type,
            cast(occurred_at as varchar),
            coalesce(session_id, ''),
            coalesce(order_id, ''),
            coalesce(product_id, ''),
            coalesce(category, ''),
            coalesce(cast(quantity as varchar), ''),
            coalesce(cast(amount as varchar), ''),
            coalesce(currency, '')
        )
    );
