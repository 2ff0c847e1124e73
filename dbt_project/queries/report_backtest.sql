-- The newest backtest: each estimator's figures on all customers, averaged over the origins.
with
    averaged as (
        select estimator, metric, avg(metric_value) as metric_value, count(distinct origin) as origins
        from backtest_metrics
        where segment = 'all' and origin is not null and isfinite(metric_value)
        group by estimator, metric
    )

    pivot (select estimator, metric, metric_value, max(origins) over () as origins from averaged)
    on metric in ('r2', 'nmae', 'spearman', 'gini', 'top_decile_lift', 'bias', 'decile_mape', 'coverage')
using first(metric_value)
group by estimator, origins
order by estimator not in ('model', 'typical'), estimator
