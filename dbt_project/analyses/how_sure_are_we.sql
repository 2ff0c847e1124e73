-- How sure are we? By value tier: the total with its own interval, how often such predictions came
-- true, and how wide single customers' intervals are.
select
    segment.value_tier,
    count(*) as scored_customers,
    round(max(value.predicted_total), 2) as predicted_total,
    round(max(value.predicted_total_low), 2) as predicted_total_low,
    round(max(value.predicted_total_high), 2) as predicted_total_high,
    round(avg(customer.clv_prediction_confidence), 2) as mean_confidence,
    round(avg(customer.clv_high - customer.clv_low), 2) as mean_interval_width_of_one
from {{ ref("customer_clv") }} as customer
inner join {{ ref("customer_segments") }} as segment using (customer_id)
inner join {{ ref("segment_value") }} as value on value.segment = segment.value_tier
where value.segmentation = 'value_tier' and customer.clv_predicted is not null
group by segment.value_tier
order by predicted_total desc
