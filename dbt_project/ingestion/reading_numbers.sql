-- How plain text becomes a number.
--
-- A plain number: digits, one decimal point, an exponent. Not NaN, not infinity, not 1,000 and not 1_000.
-- Digits beyond the scale are rounded half away from zero.
create or replace temp macro is_number(value) as
    regexp_full_match(value, '[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?');

-- A million million and more is no amount of one line, and sums of such would leave DECIMAL(18,2).
create or replace temp macro money(value) as
    case
        when is_number(value) and abs(try_cast(value as decimal(18, 2))) < 1000000000000
        then try_cast(value as decimal(18, 2))
    end;

-- Nor is a thousand million pieces a quantity.
create or replace temp macro quantity_of(value) as
    case
        when is_number(value) and abs(try_cast(value as decimal(18, 3))) < 1000000000
        then try_cast(value as decimal(18, 3))
    end;

create or replace temp macro rate(value) as
    case when is_number(value) then try_cast(value as decimal(18, 8)) end;

-- Whether a word stands in a JSON document where one of these names holds a number or nothing.
create or replace temp macro has_word_for_number(document, names) as
    len(
        [
            name
            for name in names
            if nullif(trim(json_extract_string(document, '$.' || name)), '') is not null
            and try_cast(trim(json_extract_string(document, '$.' || name)) as decimal(18, 6)) is null
        ]
    )
    > 0;
