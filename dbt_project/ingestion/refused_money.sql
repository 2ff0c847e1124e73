-- Grain: one row per quarantined row of the feed that is money. How much, and what it is about, by which a
-- later feed finds it again. A line that is no row is money where most of the feed is. Nothing is kept of who
-- was erased.
with
    amounts as (
        select
            feed_row,
            -- what guests got back is no money of theirs
            sum(case when reason = 'no_customer_id' then amount else abs(amount) end) as amount,
            min(currency) as currency,
            min(row_key(event_type, order_id, product_id)) as row_key,
            bool_or(event_type in ('purchase', 'refund') or amount is not null) as is_money
        from checked
        where reason is not null and reason <> 'erased'
        group by feed_row
    ),

    usual as (
        select count(*) filter (event_type in ('purchase', 'refund')) * 2 >= count(*) as is_money
        from checked
        where reason is null
    )

select
    rejected.quarantine_id,
    amounts.row_key,
    cast(amounts.amount as decimal(18, 2)) as amount,
    amounts.currency
from rejected
cross join usual
left join amounts on amounts.feed_row = rejected.feed_row
where amounts.is_money or (rejected.feed_row is null and rejected.reason <> 'erased' and usual.is_money)
