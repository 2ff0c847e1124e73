{#- Fails on rows for which the condition is false. A condition that is NULL holds, as in a CHECK constraint. -#}
{% test holds(model, condition, column_name=none) %}
    select * from {{ model }} where not ({{ condition }})
{% endtest %}
