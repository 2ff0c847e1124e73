-- Grain: one row per replaced customer number, with the number that stands for the person today, at the end
-- of its chain of merges. Merges that lead in a circle are left out: their numbers stand for themselves.
with
    merges as (select * from {{ ref("stg_id_history") }}),

    circular as (select * from {{ ref("int_circular_merges") }}),

    history as (
        select merges.old_customer_id, merges.new_customer_id
        from merges
        left join circular on circular.old_customer_id = merges.old_customer_id
        where circular.old_customer_id is null
    ),

    {{ followed_merges() }}

select
    cast(resolved.old_customer_id as string) as old_customer_id,
    cast(resolved.customer_id as string) as customer_id
from round_6 as resolved
