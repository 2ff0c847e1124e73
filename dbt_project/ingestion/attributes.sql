-- Grain: one row per row of the feed, typed, with the first reason against it (NULL: kept) and whether it
-- is new. One row per customer and instant; the first one stands. Without a known_at nobody can tell
-- which dates may see the row.
with
    settings as (select * from ingest_settings),

    typed as (
        select
            feed_row,
            clean_id(customer_id) as customer_id,
            utc_instant(clean_text(known_at)) as known_at,
            nfc_normalize(attributes) as attributes,
            -- in JSON a NUL byte is escaped
            has_nul(concat(customer_id, known_at)) or contains(attributes, '\u0000') as has_nul
        from mapped
    ),

    -- What comes again after its feed was taken back becomes known then.
    undone as (
        select customer_id, known_at, max(undone_at) as undone_at
        from known_undone_attributes
        group by customer_id, known_at
    ),

    told as (
        select typed.* replace (greatest(typed.known_at, undone.undone_at) as known_at)
        from typed
        left join undone on typed.customer_id = undone.customer_id and typed.known_at = undone.known_at
    ),

    judged as (
        select
            told.*,
            case
                when is_erased(customer_id)
                then 'erased'
                when has_nul
                then 'nul_byte'
                when customer_id is null
                then 'no_customer_id'
                when known_at is null
                then 'invalid_known_at'
                when is_placeholder(known_at)
                then 'before_1970'
                when known_at > ingested_at
                then 'in_the_future'
                when has_word_for_number(attributes, number_attributes)
                then 'invalid_attribute'
            end as own_reason
        from told
        cross join settings
    ),

    copies as (
        select
            *, row_number() over same_key as copy, first_value(attributes) over same_key as first_attributes
        from judged
        window same_key as (partition by own_reason, customer_id, known_at order by feed_row)
    ),

    known as (
        select customer_id, known_at, min(nfc_normalize(attributes)) as attributes
        from known_attributes
        cross join settings
        where not has_word_for_number(attributes, number_attributes)
        group by customer_id, known_at
    ),

    checked as (
        select
            copies.feed_row,
            copies.customer_id,
            copies.known_at,
            copies.attributes,
            case
                when copies.own_reason is not null
                then copies.own_reason
                when copies.attributes <> coalesce(known.attributes, copies.first_attributes)
                then 'conflicting_attributes'
                when copies.copy > 1
                then 'duplicate'
            end as reason,
            reason is null and known.customer_id is null as is_new
        from copies
        left join known on copies.customer_id = known.customer_id and copies.known_at = known.known_at
    )

select *
from checked
