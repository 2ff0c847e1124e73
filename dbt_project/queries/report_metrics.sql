-- The figures of the model that scored and of every baseline on the test dates.
pivot (
    select training_runs.estimator, training_runs.metric, training_runs.metric_value
    from training_runs
    where training_runs.version = $version and training_runs.estimator not like 'decile!___' escape '!'
)
on metric in (
    'r2',
    'mae',
    'nmae',
    'spearman',
    'gini',
    'top_decile_lift',
    'bias',
    'decile_mape',
    'coverage',
    'coverage_top_fifth',
    'confidence_error',
    'brier',
    'brier_of_constant',
    'calibration_error'
)
using first(metric_value)
group by estimator
order by estimator not in ('model', 'typical'), estimator
