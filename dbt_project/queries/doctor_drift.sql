-- What moved: features since training, then outputs and ways of estimating since the scoring date before;
-- most first.
select 'feature' as kind, feature as measure, psi, drift
from feature_drift
union all
select kind, measure, psi, drift
from prediction_drift
where drift is not null and as_of_date = (select max(as_of_date) from prediction_drift)
order by psi desc nulls last, kind, measure
