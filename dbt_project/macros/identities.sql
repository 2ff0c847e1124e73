{#- Fails the model on a cycle of customer numbers (a -> b -> a), and names one: no person can be told from it. -#}
{% macro refuse_id_cycles() -%}
    {%- if execute and load_relation(this) is not none -%}
        {%- set unresolved -%}
            select near.old_customer_id
            from {{ this }} as near
            inner join {{ this }} as far on far.old_customer_id = near.customer_id
            order by near.old_customer_id
            limit 5
        {%- endset -%}
        {%- set names = run_query(unresolved).columns[0].values() -%}
        {%- if names | length > 0 -%}
            {{ exceptions.raise_compiler_error(
                "The id history never ends for customer '" ~ names | join("', '")
                ~ "': each number leads back to another (a cycle, or more than 64 merges). Correct "
                ~ setting("raw_schema") ~ ".id_history."
            ) }}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}
