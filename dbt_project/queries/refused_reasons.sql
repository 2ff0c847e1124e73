-- Why ingestion refused rows, the most frequent reason first. How many still stand outside, how many a later
-- feed admitted, and the newest of them. `raw_schema` is the setting of that name.
select
    quarantine.reason,
    count(*) - count(admitted.quarantine_id) as row_count,
    count(admitted.quarantine_id) as admitted_count,
    arg_max(quarantine.source, (quarantine.quarantined_at, - quarantine.line_number)) as source,
    arg_max(quarantine.line_number, (quarantine.quarantined_at, - quarantine.line_number)) as line_number,
    arg_max(quarantine.raw_text, (quarantine.quarantined_at, - quarantine.line_number)) as raw_text
from raw_schema.quarantine
left join raw_schema.admitted on admitted.quarantine_id = quarantine.quarantine_id
group by quarantine.reason
order by row_count desc, admitted_count desc, quarantine.reason
