-- How text becomes an id.
--
-- Text (clean_text), and the words that tools write for "no value" are NULL.
create or replace temp macro clean_id(value) as
    case
        when lower(trim(value)) in ('nan', 'null', 'none', 'n/a', '<na>', '\n', '(not set)')
        then null
        else clean_text(value)
    end;

-- An id that is not one of those under which people buy who have none (in small letters).
create or replace temp macro known_id(value, nobody) as
    case when not list_contains(nobody, coalesce(lower(clean_id(value)), '')) then clean_id(value) end;

-- An id without what spreadsheets and people change in it: case, spaces, leading zeros, a trailing .0.
create or replace temp macro plain_id(id) as
    coalesce(
        nullif(ltrim(regexp_replace(regexp_replace(lower(id), '\s', '', 'g'), '\.0+$', ''), '0'), ''), id
    );
