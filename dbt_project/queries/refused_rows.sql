-- The rows that ingestion refused for a reason (`$reason`, NULL for all), the newest first. `raw_schema` is
-- the
-- setting of that name.
select
    quarantine.quarantined_at,
    quarantine.source,
    quarantine.line_number,
    quarantine.reason,
    refused_money.amount,
    refused_money.currency,
    admitted.admitted_at,
    quarantine.raw_text
from raw_schema.quarantine
left join raw_schema.admitted on admitted.quarantine_id = quarantine.quarantine_id
left join raw_schema.refused_money on refused_money.quarantine_id = quarantine.quarantine_id
where $reason is null or quarantine.reason = $reason
order by quarantine.quarantined_at desc, quarantine.source, quarantine.line_number, quarantine.quarantine_id
