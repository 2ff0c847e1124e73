-- How much revenue does the top decile bring? Deciles from the most valuable, with their share and the
-- running share.
select
    value_decile,
    customer_count,
    estimate_total,
    round(100 * estimate_share, 1) as percent_of_total,
    round(100 * estimate_share_from_top, 1) as percent_from_the_top,
    estimate_min,
    revenue_so_far
from {{ ref("clv_deciles") }}
order by value_decile desc
