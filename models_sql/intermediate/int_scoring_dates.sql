-- Grain: one row per scoring date that a run has asked for. Append-only: `as_of_dates` keeps the recent
-- ones.
{{ config(materialized="incremental", incremental_strategy="append") }}

select as_of_date
from {{ ref("int_today") }}
{% if is_incremental() %} where as_of_date not in (select as_of_date from {{ this }}) {% endif %}
