-- Warns of lines whose pieces are left out because no line can hold so many.
{{ config(severity="warn") }}
select event_id, quantity
from {{ source("raw", "events") }}
where abs(quantity) >= {{ largest_quantity() }}
