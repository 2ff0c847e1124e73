-- The newest backtest: each estimator's figures on all customers, averaged over the origins that it has a
-- prediction for. One that could not be fitted on all of them says so in its name.
with
    figures as (
        select
            estimator,
            metric,
            case when isfinite(metric_value) then metric_value end as metric_value,
            count(metric_value) filter (metric = 'mae') over (partition by estimator) as fitted,
            count(*) filter (metric = 'mae') over (partition by estimator) as origins
        from backtest_metrics
        where segment = 'all' and origin is not null
    ),

    averaged as (
        select
            case
                when fitted = 0
                then estimator || ' (not fitted)'
                when fitted < origins
                then estimator || ' (fitted on ' || fitted || ' of ' || origins || ')'
                else estimator
            end as estimator,
            metric,
            origins,
            avg(metric_value) as metric_value
        from figures
        group by all
    )

    pivot averaged
    on metric in ('r2', 'nmae', 'spearman', 'gini', 'top_decile_lift', 'bias', 'decile_mape', 'coverage')
using first(metric_value)
group by estimator, origins
order by estimator not in ('model', 'typical'), estimator
