-- Grain: customer_id. What the declared attributes were, as last known before the scoring date. A text as
-- delivered, a number as a number; customers of whom nothing was known are left out.
with
    dates as (select as_of_date from {{ ref("as_of_dates") }} where is_scoring_date),

    states as (select * from {{ ref("int_customer_attributes") }})

select
    {%- for name, column in attribute_values().items() %}
        states.{{ column.stored }} as {{ adapter.quote(name) }},
    {%- endfor %}
    states.customer_id
from states
inner join dates on {{ state_known_before("states.known_from", "states.known_until", "dates.as_of_date") }}
