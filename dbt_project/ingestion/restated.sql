-- Grain: one row per known order that comes with other money: the event that makes up the difference. More
-- money is a further line of the order, of its own time; less is given back, at the refund's own time or when
-- it was learnt, never before the order. An order with a quarantined row, or in another currency, is left
-- alone.
with
    settings as (select * from ingest_settings),

    delivered as (
        select clean_id(order_id) as order_id, min(feed_row) as feed_row
        from mapped
        where clean_id(order_id) is not null
        group by clean_id(order_id)
    ),

    refused as (
        select distinct clean_id(mapped.order_id) as order_id
        from mapped
        inner join checked on mapped.feed_row = checked.feed_row
        where checked.reason is not null
    ),

    before as (
        select
            known_events.order_id,
            min(customer_id) as customer_id,
            min(currency) as currency,
            min(occurred_at) as ordered_at,
            count(*) as events,
            sum(amount) as net
        from known_events
        inner join delivered on known_events.order_id = delivered.order_id
        where event_type in ('purchase', 'refund')
        group by known_events.order_id
    ),

    now as (
        select
            order_id,
            min(currency) as currency,
            max(occurred_at) filter (event_type = 'refund') as refunded_at,
            sum(amount) as net
        from checked
        where reason is null and event_type in ('purchase', 'refund')
        group by order_id
    ),

    newest as (
        select max(occurred_at) as occurred_at
        from
            (
                select occurred_at
                from known_events
                union all
                select occurred_at
                from checked
                where reason is null
            ) as events
    ),

    changes as (
        select
            before.order_id,
            before.customer_id,
            before.currency,
            before.ordered_at,
            before.events,
            coalesce(now.net, 0) - before.net as amount,
            -- a refund that the feed dates no later than the sale bears no day of its own
            case when now.refunded_at > before.ordered_at then now.refunded_at end as refunded_at
        from before
        left join now on before.order_id = now.order_id
        left join refused on before.order_id = refused.order_id
        where
            refused.order_id is null
            and coalesce(now.currency, before.currency) = before.currency
            and coalesce(now.net, 0) <> before.net
    ),

    dated as (
        select
            changes.*,
            case
                when amount > 0
                then ordered_at
                else
                    greatest(
                        ordered_at,
                        coalesce(
                            refunded_at,
                            least(coalesce(built_as_of, newest.occurred_at), ingested_at),
                            ordered_at
                        )
                    )
            end as occurred_at,
            settings.built_as_of,
            settings.id_space
        from changes
        cross join settings
        cross join newest
    )

select
    md5(
        concat_ws(chr(31), id_space, 'restated', order_id, cast(events as varchar), cast(amount as varchar))
    ) as event_id,
    customer_id,
    case when amount > 0 then 'purchase' else 'refund' end as event_type,
    occurred_at,
    greatest(occurred_at, coalesce(built_as_of, occurred_at)) as recorded_at,
    order_id,
    cast(amount as decimal(18, 2)) as amount,
    currency
from dated
