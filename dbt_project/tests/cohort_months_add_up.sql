-- Fails on a dimension whose cells do not make all net revenue that stood on the scoring date, to the cent.
with
    dates as (select as_of_date from {{ ref("as_of_dates") }} where is_scoring_date),

    counted as (
        select orders.order_value as amount
        from {{ ref("int_orders") }} as orders
        inner join
            dates on {{ state_known_before("orders.known_from", "orders.known_until", "dates.as_of_date") }}
        union all
        select refunds.refund_amount as amount
        from {{ ref("int_refunds") }} as refunds
        inner join
            dates on {{ state_known_before("refunds.known_from", "refunds.known_until", "dates.as_of_date") }}
    ),

    totals as (select coalesce(sum(amount), 0) as net_revenue from counted),

    cells as (
        select dimension, sum(net_revenue) as net_revenue from {{ ref("cohort_months") }} group by dimension
    )

select cells.dimension, cells.net_revenue, totals.net_revenue as counted
from cells
cross join totals
where cells.net_revenue <> totals.net_revenue
