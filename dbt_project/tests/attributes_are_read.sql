-- Warns of rows of attributes that are left out because a word stands where a number is declared.
{{ config(severity="warn") }}
select attributes, count(*) as row_count
from {{ ref("stg_attributes") }}
where not {{ attributes_are_read() }}
group by attributes
