-- What changed since last month? Each segment's total today against the previous scoring date, for the
-- customers who were scored on both. Trends are empty after the first scoring; `clv diff` says why a
-- value changed.
select
    segmentation,
    segment,
    previous_as_of_date,
    as_of_date,
    customer_count,
    compared_count,
    round(compared_total_before, 2) as total_before,
    round(compared_total, 2) as total_now,
    round(100 * trend, 1) as trend_percent,
    is_other_model
from {{ ref("segment_value") }}
where segmentation in ('all', 'rfm_segment')
order by segmentation, customer_count desc, segment
