{#- Calendar months, UTC. -#}
{#- Months since the year 0, so that differences count months. -#}
{% macro month_number(instant) -%}
    cast(12 * extract(year from {{ instant }}) + extract(month from {{ instant }}) - 1 as int)
{%- endmacro %}

{#- Calendar months from the first instant's to the second's. -#}
{% macro calendar_months_between(earlier, later) -%}
    ({{ month_number(later) }} - {{ month_number(earlier) }})
{%- endmacro %}

{#- First day of the calendar month so many months after the one of a date. -#}
{% macro month_after(day, months) -%}
    {%- set number = "(" ~ month_number(day) ~ " + " ~ months ~ ")" -%}
    make_date(cast(floor({{ number }} / 12.0e0) as int), cast({{ number }} % 12 + 1 as int), 1)
{%- endmacro %}
