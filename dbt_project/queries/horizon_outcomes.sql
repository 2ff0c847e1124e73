-- What the formulas said of each horizon but $horizon_days, and what happened, where that is known
-- today. Grain: customer_id x horizon_days, of customers who had bought by $as_of_date.
select
    labels.customer_id,
    labels.horizon_days,
    cast(labels.label_revenue as double) as revenue,
    labels.label_purchases as purchases,
    shares.expected_share,
    shares.bgnbd_share,
    shares.paretonbd_share,
    shares.btyd_share,
    shares.days_share,
    shares.log_odds_beyond
from horizon_labels as labels
inner join
    horizon_shares as shares
    on shares.customer_id = labels.customer_id
    and shares.as_of_date = labels.as_of_date
    and shares.horizon_days = labels.horizon_days
where labels.as_of_date = $as_of_date and labels.horizon_days <> $horizon_days
order by labels.horizon_days, labels.customer_id
