-- Warns of outputs and ways of estimating that changed much from the scoring date before to the newest.
{{ config(severity="warn") }}
with drift as (select * from {{ ref("prediction_drift") }})

select *
from drift
where drift = 'large' and as_of_date = (select max(as_of_date) from drift)
