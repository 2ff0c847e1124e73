-- What the package expects of each of the team's own segments.
select segments.segment, count(*) as customers, sum(value.clv_estimate) as expected_revenue
from {{ ref("customer_segments") }} as segments
inner join {{ ref("clv", "customer_clv") }} as value on value.customer_id = segments.customer_id
group by segments.segment
