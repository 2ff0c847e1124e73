-- Grain: one row per reason of the feed's refused rows: their share of its rows, and of its money. Money
-- without
-- an amount that can be read counts as the mean; of several currencies each counts in means.
with
    entries as (
        select null as reason, currency, abs(amount) as amount, true as is_money
        from kept_money
        union all
        select
            rejected.reason,
            refused_money.currency,
            refused_money.amount,
            refused_money.quarantine_id is not null as is_money
        from rejected
        left join refused_money on refused_money.quarantine_id = rejected.quarantine_id
    ),

    weighed as (
        select
            reason,
            case
                when is_money
                then coalesce(cast(amount as double) / nullif(avg(amount) over (partition by currency), 0), 1)
                else 0
            end as weight
        from entries
    ),

    summed as (
        select reason, count(*) as row_count, sum(weight) as weight, sum(sum(weight)) over () as all_weight
        from weighed
        group by reason
    ),

    arrived as (select (select count(*) from feed_rows) + (select count(*) from feed_rejects) as row_count)

select
    summed.reason,
    summed.row_count / arrived.row_count as row_share,
    round(summed.weight / nullif(summed.all_weight, 0), 9) as money_share
from summed
cross join arrived
where summed.reason is not null
order by money_share desc nulls last, row_share desc, summed.reason
