-- Grain: one row, or none for a shop without events: the scoring date, and the day the shop's history begins.
{{ config(materialized="view") }}

with
    shop as (
        select cast(min(occurred_at) as date) as opened_on, cast(max(occurred_at) as date) as newest_on
        from {{ ref("int_events") }}
    )

select
    {% if setting("as_of_date") %} date '{{ setting("as_of_date") }}' as as_of_date,
    {% else %} cast(newest_on + interval '1 days' as date) as as_of_date,
    {% endif %}
    opened_on
from shop
where opened_on is not null
