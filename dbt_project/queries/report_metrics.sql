-- The figures of the model that scored and of every baseline on the test dates. One that could not be fitted
-- says so in its name.
with
    figures as (
        select
            training_runs.estimator || case
                when
                    count(*) filter (
                        training_runs.metric = 'mae' and training_runs.metric_value is null
                    ) over (partition by training_runs.estimator)
                    > 0
                then ' (not fitted)'
                else ''
            end as estimator,
            training_runs.metric,
            training_runs.metric_value
        from training_runs
        where training_runs.version = $version and training_runs.estimator not like 'decile!___' escape '!'
    )

    pivot figures
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
        'above_high',
        'below_low',
        'confidence_error',
        'brier',
        'brier_of_constant',
        'calibration_error'
    )
using first(metric_value)
group by estimator
order by estimator not in ('model', 'typical'), estimator
