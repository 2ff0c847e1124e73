-- Segments as the team has always had them, under a name that the package uses too.
select customer_id, case when count(*) > 3 then 'regular' else 'other' end as segment
from {{ source("crm", "events") }}
where event_type = 'purchase' and occurred_at >= '{{ var("first_cohort") }}'
group by customer_id
