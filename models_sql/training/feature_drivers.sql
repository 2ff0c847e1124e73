-- Grain: one row per feature that is reported under another name, as its description says (meta.driver):
-- columns that tell only together, such as a sine and its cosine. A model remembers these.
{{ config(materialized="view") }}
{% set columns = columns_of("training_rows") if execute else {} %}

{% for name, column in columns.items() if column.config.meta.get("driver") %}
    select
        cast('{{ name }}' as string) as feature,
        cast('{{ column.config.meta.driver }}' as string) as driver
        {{ "union all" if not loop.last }}
{% else %} select cast(null as string) as feature, cast(null as string) as driver where false
{% endfor %}
