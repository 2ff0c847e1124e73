-- How sure are we? By value tier: the total with its own interval, and how wide single customers' intervals
-- are.
with
    intervals as (
        select
            segment.value_tier,
            count(*) as scored_customers,
            avg(cast(customer.clv_prediction_confidence as decimal(9, 6))) as mean_confidence,
            avg(cast(customer.clv_high - customer.clv_low as decimal(18, 2))) as mean_interval_width
        from {{ ref("customer_clv") }} as customer
        inner join {{ ref("customer_segments") }} as segment on segment.customer_id = customer.customer_id
        where customer.clv_predicted is not null
        group by segment.value_tier
    )

select
    value.segment as value_tier,
    intervals.scored_customers,
    round(value.predicted_total, 2) as predicted_total,
    round(value.predicted_total_low, 2) as predicted_total_low,
    round(value.predicted_total_high, 2) as predicted_total_high,
    round(intervals.mean_confidence, 2) as mean_confidence,
    round(intervals.mean_interval_width, 2) as mean_interval_width_of_one
from {{ ref("segment_value") }} as value
inner join intervals on intervals.value_tier = value.segment
where value.segmentation = 'value_tier'
order by value.predicted_total desc
