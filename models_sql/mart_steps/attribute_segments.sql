-- Grain: customer_id x attribute: the group that each declared attribute puts a customer in. Of a text its
-- declared level, or `other`; of a number the fifth among those who have one; `unknown` where it is not
-- known.
with
    customers as (select * from {{ ref("customer_clv") }}),

    segments as (
        {% for name, kind in setting("customer_attributes").items() %}
            select
                customer_id,
                '{{ name }}' as attribute,
                {{ attribute_segment(adapter.quote(name), kind) }} as segment
            from customers {{ "union all" if not loop.last }}
        {% else %}select customer_id, null as attribute, null as segment from customers where false
        {% endfor %}
    )

select
    customer_id,
    cast(attribute as string) as attribute,
    cast(coalesce(segment, 'unknown') as string) as segment
from segments
