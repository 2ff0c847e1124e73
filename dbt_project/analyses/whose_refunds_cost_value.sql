-- Which good customers send much back? Repeat buyers of the better half with the highest refund rates.
select
    customer.customer_id,
    segment.value_tier,
    customer.total_purchases,
    customer.total_revenue as net_spent_so_far,
    round(100 * customer.refund_rate, 1) as refund_percent,
    customer.clv_estimate
from {{ ref("customer_clv") }} as customer
inner join {{ ref("customer_segments") }} as segment on segment.customer_id = customer.customer_id
where
    segment.value_tier in ('top', 'high', 'medium')
    and customer.total_purchases >= 2
    and customer.refund_rate > 0
order by customer.refund_rate desc, customer.customer_id
limit 20
