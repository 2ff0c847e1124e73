-- Buyers in tenths by what they are expected to be worth, the most valuable first.
select
    value_decile,
    customer_count,
    estimate_min,
    estimate_mean,
    estimate_total,
    estimate_share,
    estimate_share_from_top
from clv_deciles
order by value_decile desc
