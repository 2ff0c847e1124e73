-- Grain: customer_id x as_of_date. The attributes that the setting `customer_attributes` declares, as
-- last known before the date: a number as it is, a text as one column of 0 and 1 per declared level. No
-- columns where none are declared.
with
    spine as (select * from {{ ref("int_spine") }} where {{ is_wanted("as_of_date") }}),

    states as (select * from {{ ref("int_customer_attributes") }})

select
    spine.customer_id,
    spine.as_of_date,
    {%- for name in attribute_columns() %} states.{{ name }}, {%- endfor %}
    spine.build_hash
from spine
left join
    states
    on states.customer_id = spine.customer_id
    and {{ state_known_before("states.known_from", "states.known_until", "spine.as_of_date") }}
