-- Rows that ingestion kept, those of guests, and those that it set aside. By reason, without those that a
-- later feed admitted, and with their money by currency. `raw_schema` is the setting of that name.
with
    aside as (
        select
            case when quarantine.reason = 'no_customer_id' then 'guests' else 'quarantined' end as fate,
            quarantine.reason,
            refused_money.currency,
            count(*) as row_count,
            sum(refused_money.amount) as amount
        from raw_schema.quarantine
        left join raw_schema.refused_money on refused_money.quarantine_id = quarantine.quarantine_id
        where quarantine.quarantine_id not in (select quarantine_id from raw_schema.admitted)
        group by quarantine.reason, refused_money.currency
    )

select 'kept' as fate, cast(null as varchar) as reason, count(*) as row_count, cast(null as varchar) as money
from raw_schema.events
union all
select
    fate,
    reason,
    cast(sum(row_count) as bigint) as row_count,
    coalesce(
        string_agg(format('{} {:,.2f}', currency, amount), ', ' order by currency) filter (
            amount is not null and currency is not null
        ),
        ''
    ) as money
from aside
group by fate, reason
order by fate, row_count desc, reason
