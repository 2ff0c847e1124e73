-- Fails where money got lost or was counted twice. What stands today (orders and refunds) and what was
-- voided must make all lines, and what was voided must come to zero in the currency that it was paid in. In
-- that currency the lines must make all that was delivered, and sales in the reporting currency, too: a
-- return is converted at the rate of its purchase.
with
    -- what was taken back counts as of past dates alone
    events as (
        select *
        from {{ ref("int_events") }}
        where event_type in ('purchase', 'refund') and counts_until is null
    ),

    past as (select history_id from {{ ref("int_histories") }} where known_until is not null),

    lines as (
        select * from {{ ref("int_money_lines") }} where customer_id not in (select history_id from past)
    ),

    entries as (
        select customer_id, amount as delivered, 0 as accounted
        from lines
        union all
        select customer_id, 0 as delivered, order_value as accounted
        from {{ ref("int_orders") }}
        where known_until is null
        union all
        select customer_id, 0 as delivered, refund_amount as accounted
        from {{ ref("int_refunds") }}
        where known_until is null
        union all
        select customer_id, 0 as delivered, amount as accounted
        from lines
        where voided_at is not null
    )

select customer_id, cast(null as string) as currency, sum(delivered) - sum(accounted) as difference
from entries
group by customer_id
having sum(delivered) <> sum(accounted)
union all
select customer_id, currency, sum(source_amount) as difference
from lines
where voided_at is not null
group by customer_id, currency
having sum(source_amount) <> 0
union all
select
    coalesce(paid.customer_id, kept.customer_id),
    coalesce(paid.currency, kept.currency),
    coalesce(paid.total, 0) - coalesce(kept.total, 0) as difference
from
    (
        select
            customer_id,
            currency,
            sum(source_amount) as total,
            sum(case when event_type = 'purchase' then amount else 0 end) as sold
        from events
        group by customer_id, currency
    ) as paid
full join
    (
        select
            customer_id,
            currency,
            sum(source_amount) as total,
            sum(case when is_refund then 0 else amount end) as sold
        from lines
        group by customer_id, currency
    ) as kept
    on kept.customer_id = paid.customer_id
    and kept.currency = paid.currency
where coalesce(paid.total, 0) <> coalesce(kept.total, 0) or coalesce(paid.sold, 0) <> coalesce(kept.sold, 0)
