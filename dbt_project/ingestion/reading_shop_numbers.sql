-- How numbers as shops write them become the plain text that the checks read (clean_text first). One that
-- fits no rule stays as it is, so that the check names it. What a macro needs twice is an argument of its
-- own, since macros are expanded where they stand.
--
-- Digits and marks of other scripts as those of ASCII; text that is plain ASCII needs none of it.
create or replace temp macro plain_digits(value) as
    case
        when regexp_full_match(value, '[ -~]*')
        then value
        else
            translate(
                value,
                '٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹०१२३४५६७८९০১২৩৪৫৬৭৮৯๐๑๒๓๔๕๖๗๘๙０１２３４５６７８９٫٬．，：／－',
                '012345678901234567890123456789012345678901234567890123456789.,.,:/-'
            )
    end;

-- Apart from sign, brackets, spaces, and a currency's sign, code or word before or behind it.
create or replace temp macro number_body(value) as
    regexp_replace(
        regexp_replace(
            regexp_replace(value, '[\s\x{a0}\x{2007}\x{2009}\x{200e}\x{200f}\x{202f}]', '', 'g'),
            '^([-+\x{2212}(]*)(\pL{1,3}[.]?|\p{Sc}|\pL{1,3}\p{Sc})([-+\x{2212}(]*[\d.,])',
            '\1\3'
        ),
        '(\d[.,]?[-)]?)(\pL[\pL.]{0,4}|\p{Sc}|\p{Sc}\pL{1,3})([-)]?)$',
        '\1\3'
    );

create or replace temp macro is_negative(body) as
    regexp_full_match(body, '[-\x{2212}][^-\x{2212}()]*|[^-\x{2212}()]*[-\x{2212}]|[(][^-\x{2212}()]*[)]');

create or replace temp macro unsigned(body) as
    case
        when is_negative(body) or regexp_full_match(body, '[+]?[^-+\x{2212}()]*')
        then regexp_replace(body, '[-+\x{2212}()]', '', 'g')
    end;

-- Groups of three, as in India of two before the last three; 'decimal_mark' is a point or a comma.
create or replace temp macro ungrouped(digits, decimal_mark) as
    case
        when decimal_mark = ','
        then
            case
                when regexp_full_match(digits, '\d{1,3}([.''\x{2019}]\d{3})+(,\d*)?|\d+(,\d*)?|,\d+')
                then replace(regexp_replace(digits, '[.''\x{2019}]', '', 'g'), ',', '.')
            end
        when
            regexp_full_match(
                digits, '\d{1,3}([,''\x{2019}]\d{3})+([.]\d*)?|\d{1,2}(,\d{2})+,\d{3}([.]\d*)?|\d+([.]\d*)?|[.]\d+'
            )
        then regexp_replace(digits, '[,''\x{2019}]', '', 'g')
    end;

-- 'body' is number_body(value).
create or replace temp macro shop_number(value, body, decimal_mark) as
    case
        when decimal_mark = '.' and is_number(value)
        then value
        else
            coalesce(
                case when is_negative(body) then '-' else '' end || ungrouped(unsigned(body), decimal_mark), value
            )
    end;

-- Which decimal mark a number speaks for: '.' or ',', 'either' where three digits may be thousands or a
-- fraction.
create or replace temp macro mark_told(body) as
    case
        when not coalesce(regexp_full_match(body, '[\d.,''\x{2019}]*[.,][\d.,''\x{2019}]*'), false)
        then null
        when contains(body, '.') and contains(body, ',')
        then case when regexp_matches(body, '[.][^,]*$') then '.' else ',' end
        when regexp_matches(body, '[.].*[.]')
        then ','
        when regexp_matches(body, ',.*,')
        then '.'
        when regexp_full_match(body, '[1-9]\d{0,2}[.,]\d{3}')
        then 'either'
        when contains(body, '.')
        then '.'
        else ','
    end;

-- What stands beside a number: a currency's sign, code or word.
create or replace temp macro sign_beside(value) as
    trim(regexp_replace(value, '[\s\d.,''’()+\x{a0}\x{2007}\x{2009}\x{200e}\x{200f}\x{202f}\x{2212}-]', '', 'g'), '.');
