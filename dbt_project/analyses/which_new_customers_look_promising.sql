-- Which new customers look most promising? One purchase so far, not long ago, by what they are expected to
-- bring.
select
    customer.customer_id,
    customer.first_purchase_at,
    customer.total_revenue as spent_so_far,
    customer.clv_estimate,
    customer.clv_top_features
from {{ ref("customer_clv") }} as customer
inner join {{ ref("customer_segments") }} as segment on segment.customer_id = customer.customer_id
where segment.rfm_segment = 'new'
order by customer.clv_estimate desc, customer.customer_id
limit 20
