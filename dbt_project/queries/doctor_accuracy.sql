-- How the newest scoring date came true whose horizon is past: the model's mean and its median.
select
    as_of_date, estimator, customers, bias, nmae, nmae_to_best_baseline, interval_coverage, above_high_share
from clv_accuracy
where estimator in ('model', 'typical') and as_of_date = (select max(as_of_date) from clv_accuracy)
order by estimator
