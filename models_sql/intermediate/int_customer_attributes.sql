-- Grain: one row per customer, under the number that stands today, and state of knowledge about their
-- attributes; each state holds for the dates in (known_from, known_until]. A row counts as a whole: what
-- the newest leaves out is NULL, and one with a word in place of a number is left out.
{{ config(pre_hook="{{ refuse_attributes() }}") }}

with
    delivered as (select * from {{ ref("stg_attributes") }} where {{ attributes_are_read() }}),

    ids as (select * from {{ ref("int_customer_ids") }}),

    ranked as (
        select
            coalesce(ids.customer_id, delivered.customer_id) as customer_id,
            delivered.known_at,
            delivered.attributes,
            row_number() over (
                partition by coalesce(ids.customer_id, delivered.customer_id), delivered.known_at
                order by delivered.attributes nulls last
            ) as place
        from delivered
        left join ids on ids.old_customer_id = delivered.customer_id
    )

select
    cast(customer_id as string) as customer_id,
    {%- for name, column in attribute_columns().items() %} {{ column.sql }} as {{ name }}, {%- endfor %}
    cast(known_at as timestamp) as known_from,
    cast(lead(known_at) over (partition by customer_id order by known_at) as timestamp) as known_until
from ranked
where place = 1
