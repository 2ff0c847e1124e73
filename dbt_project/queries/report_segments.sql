-- What groups of customers are worth together, with the interval of each group's total.
select segmentation, segment, customer_count, estimate_total, predicted_total_low, predicted_total_high
from segment_value
where segmentation <> 'all'
order by segmentation, estimate_total desc, segment
