{#- What a column is for stands beside its description, as `meta.role`. The roles there are, and what each means, stand in
    `meta.roles` of the model `column_roles`. -#}
{#- The described columns of `training_rows`, by name; a column without a role, or with one that does not exist, is
    refused. -#}
{% macro columns_with_roles(roles) -%}
    {%- set columns = columns_of("training_rows") if execute else {} -%}
    {%- for name, column in columns.items() if column.config.meta.get("role") not in roles -%}
        {{ exceptions.raise_compiler_error(
            "Column '" ~ name ~ "' of training_rows has the role " ~ shown_value(column.config.meta.get("role"))
            ~ ". Beside its description, give config.meta.role one of: " ~ roles | join(", ") ~ "."
        ) }}
    {%- endfor -%}
    {{ return(columns) }}
{%- endmacro %}

{#- The column of each baseline, by the name of the estimator. -#}
{% macro baseline_columns() -%}
    {%- set columns = {} -%}
    {%- if execute -%}
        {%- for name, column in columns_of("customer_baselines").items() if column.config.meta.role == "baseline" -%}
            {%- do columns.update({column.config.meta.estimator: name}) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(columns) }}
{%- endmacro %}

{#- A word, or a list of words, as text; NULL where there is none. -#}
{% macro words_or_null(words) -%}
    {%- set text = words if words is string else words | default([], true) | join(", ") -%}
    {{ return("cast('" ~ text ~ "' as string)" if text else "cast(null as string)") }}
{%- endmacro %}
