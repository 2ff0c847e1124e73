{#- Which number stands for a customer: chains of merges, followed to their end. -#}
{#- The CTEs up to `round_6`: each old number of the CTE `history` with the number that 64 merges lead to, or the last of
    fewer, by doubling. -#}
{% macro followed_merges() -%}
    round_0 as (select old_customer_id, new_customer_id as customer_id from history)
    {%- for round in range(1, 7) %}
        ,

        round_{{ round }} as (
            select near.old_customer_id, coalesce(far.customer_id, near.customer_id) as customer_id
            from round_{{ round - 1 }} as near
            left join round_{{ round - 1 }} as far on far.old_customer_id = near.customer_id
        )
    {%- endfor %}
{%- endmacro %}
