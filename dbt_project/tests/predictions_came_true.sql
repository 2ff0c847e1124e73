-- Warns of past scoring dates whose total was off, whose bounds did not hold, or where a baseline was closer.
{{ config(severity="warn") }}
{% set outside = (1 - setting("interval_coverage")) / 2 %}
with accuracy as (select * from {{ ref("clv_accuracy") }})

select 'the total is off' as fault, accuracy.*
from accuracy
where estimator = 'model' and abs(bias) > {{ setting("accuracy_bias") }}
union all
select 'bounds do not hold what they say' as fault, accuracy.*
from accuracy
where
    abs(above_high_share - {{ outside }}) > {{ setting("accuracy_coverage_gap") }}
    or 1 - interval_coverage - above_high_share > {{ outside }} + {{ setting("accuracy_coverage_gap") }}
union all
select 'a baseline is closer' as fault, accuracy.*
from accuracy
where estimator = 'typical' and nmae_to_best_baseline > 1
