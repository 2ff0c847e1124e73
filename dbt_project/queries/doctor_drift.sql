-- What moved: features beyond the usual, then outputs and ways of estimating since the date before.
select 'feature' as kind, feature as measure, unusual_psi as psi, drift
from feature_drift
union all
select kind, measure, psi, drift
from prediction_drift
where drift is not null and as_of_date = (select max(as_of_date) from prediction_drift)
order by psi desc nulls last, kind, measure
