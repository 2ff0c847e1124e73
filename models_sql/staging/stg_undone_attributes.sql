-- Grain: one row per customer number, second from which its attributes were known, and moment at which they
-- were taken back. Of several the alphabetically first counts.
select
    cast(customer_id as string) as customer_id,
    cast(date_trunc('second', known_at) as timestamp) as known_at,
    cast(min(attributes) as string) as attributes,
    cast(undone_at as timestamp) as undone_at
from {{ source("raw", "undone_attributes") }}
where known_at is not null
group by customer_id, date_trunc('second', known_at), undone_at
