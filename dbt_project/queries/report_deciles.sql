-- What the model that scored predicted for tenths of customers on the test dates, and what happened. No fit
-- had seen those dates.
pivot (
    select training_runs.estimator as decile, training_runs.metric, training_runs.metric_value
    from training_runs
    where training_runs.version = $version and training_runs.estimator like 'decile!___' escape '!'
)
on metric in ('customers', 'predicted_mean', 'actual_mean', 'coverage', 'confidence', 'came_true')
using first(metric_value)
group by decile
order by decile
