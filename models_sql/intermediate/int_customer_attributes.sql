-- Grain: one row per customer, under the number that stands today, and state of knowledge about their
-- attributes; each state holds for the dates in (known_from, known_until]. A row counts as a whole: what
-- the newest leaves out is NULL, and one with a word in place of a number is left out.
{{ config(pre_hook="{{ refuse_attributes() }}") }}

with
    told as (
        select customer_id, known_at, attributes, cast(null as timestamp) as undone_at
        from {{ ref("stg_attributes") }}
        union all
        select customer_id, known_at, attributes, undone_at
        from {{ ref("stg_undone_attributes") }}
    ),

    delivered as (select * from told where {{ attributes_are_read() }}),

    ids as (select * from {{ ref("int_customer_ids") }}),

    histories as (select * from {{ ref("int_histories") }}),

    ranked as (
        select
            coalesce(histories.history_id, ids.customer_id, delivered.customer_id) as customer_id,
            delivered.known_at,
            delivered.attributes,
            row_number() over (
                partition by
                    coalesce(histories.history_id, ids.customer_id, delivered.customer_id), delivered.known_at
                order by delivered.attributes nulls last
            ) as place
        from delivered
        left join ids on ids.old_customer_id = delivered.customer_id
        left join histories on histories.customer_id = coalesce(ids.customer_id, delivered.customer_id)
        where {{ belongs_to_history("delivered") }}
    ),

    states as (
        select
            ranked.*,
            known_at as known_from,
            lead(known_at) over (partition by customer_id order by known_at) as known_until
        from ranked
        where place = 1
    ),

    {{ states_of_customers("states") }}

select
    cast(person_id as string) as customer_id,
    {%- for name, column in attribute_columns().items() %} {{ column.sql }} as {{ name }}, {%- endfor %}
    {%- for column in attribute_values().values() %} {{ column.sql }} as {{ column.stored }}, {%- endfor %}
    cast(counts_from as timestamp) as known_from,
    cast(counts_until as timestamp) as known_until
from states_of_customers
