-- Grain: one row per row of the feed, typed, with the first reason against it (NULL: kept) and whether it
-- is new. Chains and cycles are dbt's to resolve: a merge is valid or not only beside all others.
with
    settings as (select * from ingest_settings),

    typed as (
        select
            feed_row,
            clean_id(old_customer_id) as old_customer_id,
            clean_id(new_customer_id) as new_customer_id,
            utc_instant(clean_text(merged_at)) as merged_at,
            has_nul(concat(old_customer_id, new_customer_id, merged_at)) as has_nul
        from mapped
    ),

    judged as (
        select
            typed.*,
            case
                when is_erased(old_customer_id) or is_erased(new_customer_id)
                then 'erased'
                when has_nul
                then 'nul_byte'
                when old_customer_id is null or new_customer_id is null
                then 'no_customer_id'
                when old_customer_id = new_customer_id
                then 'self_merge'
                when merged_at is null
                then 'invalid_merged_at'
                when is_placeholder(merged_at)
                then 'before_1970'
                when merged_at > ingested_at
                then 'in_the_future'
            end as own_reason
        from typed
        cross join settings
    ),

    copies as (
        select
            *,
            row_number() over (
                partition by own_reason, old_customer_id, new_customer_id, merged_at order by feed_row
            ) as copy
        from judged
    ),

    known as (select distinct old_customer_id, new_customer_id, merged_at from known_id_history),

    checked as (
        select
            copies.feed_row,
            copies.old_customer_id,
            copies.new_customer_id,
            copies.merged_at,
            coalesce(copies.own_reason, case when copies.copy > 1 then 'duplicate' end) as reason,
            reason is null and known.merged_at is null as is_new
        from copies
        left join
            known
            on copies.old_customer_id = known.old_customer_id
            and copies.new_customer_id = known.new_customer_id
            and copies.merged_at = known.merged_at
    )

select *
from checked
