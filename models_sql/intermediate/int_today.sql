-- Grain: one row, or none for a shop without events: the scoring date, and the day from which anything
-- was known. A late record of an older time does not move that day, or it would change the dates and
-- features before it arrived. What is taken back is seen as of the date after.
{{ config(materialized="view") }}

with
    shop as (
        select
            cast(min(known_at) as date) as opened_on,
            cast(
                greatest(max(case when counts_until is null then occurred_at end), max(counts_until)) as date
            ) as newest_on
        from {{ ref("int_events") }}
    )

select
    {% if setting("as_of_date") %} date '{{ setting("as_of_date") }}' as as_of_date,
    {% else %} cast(newest_on + interval '1 days' as date) as as_of_date,
    {% endif %}
    opened_on
from shop
where opened_on is not null
