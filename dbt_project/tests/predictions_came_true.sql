-- Warns of past scoring dates on which the total was off, intervals covered too many or too few, or a
-- baseline was closer.
{{ config(severity="warn") }}
with accuracy as (select * from {{ ref("clv_accuracy") }})

select 'the total is off' as fault, accuracy.*
from accuracy
where estimator = 'model' and abs(bias) > {{ setting("accuracy_bias") }}
union all
select 'intervals do not hold what they say' as fault, accuracy.*
from accuracy
where abs(interval_coverage - {{ setting("interval_coverage") }}) > {{ setting("accuracy_coverage_gap") }}
union all
select 'a baseline is closer' as fault, accuracy.*
from accuracy
where estimator = 'typical' and nmae_to_best_baseline > 1
