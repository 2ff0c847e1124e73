-- Rows that ingestion kept, and rows that it set aside by reason. `raw_schema` is the setting of that name.
select 'kept' as fate, cast(null as varchar) as reason, count(*) as row_count
from raw_schema.events
union all
select 'quarantined', reason, count(*)
from raw_schema.quarantine
group by reason
order by fate, row_count desc, reason
