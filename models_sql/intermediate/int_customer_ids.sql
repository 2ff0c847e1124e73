-- Grain: one row per replaced customer number, with the number that stands for the person today. Chains
-- are followed by doubling: six rounds reach 64 merges, and a chain that has not ended by then is a
-- cycle, which the post-hook refuses.
{{ config(post_hook="{{ refuse_id_cycles() }}") }}

with
    history as (select * from {{ ref("stg_id_history") }}),

    round_0 as (select old_customer_id, new_customer_id as customer_id from history)
    {%- for round in range(1, 7) %}
        ,

        round_{{ round }} as (
            select near.old_customer_id, coalesce(far.customer_id, near.customer_id) as customer_id
            from round_{{ round - 1 }} as near
            left join round_{{ round - 1 }} as far on far.old_customer_id = near.customer_id
        )
    {%- endfor %}

select
    cast(resolved.old_customer_id as string) as old_customer_id,
    cast(resolved.customer_id as string) as customer_id
from round_6 as resolved
