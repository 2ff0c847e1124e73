-- What groups of customers, and all together (`all`), are worth, with the interval of each total. The
-- fifths are left out: the tenths of report_tenths say the same, finer.
select
    segmentation,
    segment,
    customer_count,
    estimate_total,
    cast(estimate_total as double) / nullif(customer_count, 0) as estimate_mean,
    predicted_total_low,
    predicted_total_high
from segment_value
where segmentation <> 'value_fifth'
order by segmentation, estimate_total desc, segment
