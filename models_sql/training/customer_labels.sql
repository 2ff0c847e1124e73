-- Grain: customer_id x as_of_date, for labelled dates: what the customer spent in the horizon, as known when the label
-- became final. A sale voided by then does not count, nor does the refund that voided it if both lie in the window; a
-- refund of an earlier sale does. Computed anew each run: what a label is made of lies after its date, so the date's hash
-- does not cover it.
with
    dates as (select * from {{ ref("as_of_dates") }} where is_labelled),

    spine as (select * from {{ ref("int_spine") }}),

    orders as (select * from {{ ref("int_orders") }}),

    refunds as (select * from {{ ref("int_refunds") }}),

    bought as (
        select orders.customer_id, dates.as_of_date, count(*) as purchases, sum(orders.order_value) as revenue
        from dates
        inner join
            orders
            on {{ in_horizon("orders.ordered_at", "dates.as_of_date") }}
            and {{ state_known_before("orders.known_from", "orders.known_until", "dates.label_known_at") }}
        group by orders.customer_id, dates.as_of_date
    ),

    gave_back as (
        select refunds.customer_id, dates.as_of_date, sum(refunds.refund_amount) as revenue
        from dates
        inner join
            refunds
            on {{ in_horizon("refunds.refunded_at", "dates.as_of_date") }}
            and {{ known_before("refunds.known_from", "dates.label_known_at") }}
            and (
                refunds.sold_at is null
                or refunds.sold_at < dates.as_of_date
                or {{ state_known_before("refunds.known_from", "refunds.known_until", "dates.label_known_at") }}
            )
        group by refunds.customer_id, dates.as_of_date
    )

select
    spine.customer_id,
    spine.as_of_date,
    cast(coalesce(bought.revenue, 0) + coalesce(gave_back.revenue, 0) as decimal(18, 2)) as label_revenue,
    cast(coalesce(bought.purchases, 0) as int) as label_purchases,
    spine.build_hash
from spine
inner join dates on dates.as_of_date = spine.as_of_date
left join bought on bought.customer_id = spine.customer_id and bought.as_of_date = spine.as_of_date
left join gave_back on gave_back.customer_id = spine.customer_id and gave_back.as_of_date = spine.as_of_date
