-- What moved: features beyond the usual, then outputs and ways of estimating since the date before.
select
    'feature' as kind,
    feature as measure,
    unusual_psi as psi,
    cast(null as double) as total_change,
    cast(null as double) as share_change,
    nullif(unusual_missing_rate, 0) as missing_change,
    drift
from feature_drift
union all
select
    kind,
    measure,
    psi,
    case when kind = 'output' then total / nullif(previous_total, 0) - 1 end as total_change,
    share - previous_share as share_change,
    cast(null as double) as missing_change,
    drift
from prediction_drift
where drift is not null and as_of_date = (select max(as_of_date) from prediction_drift)
order by psi desc nulls last, kind, measure
