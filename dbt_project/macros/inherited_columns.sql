{#- A feature is described once, beside the model that computes it. Wider tables take columns over from the models that
    their `meta.columns_of` names: the SQL through `feature_columns`, the contract through the override below. So a new
    feature is one SQL column and its YAML entry. -#}

{% macro key_columns() -%} {{ return(["customer_id", "as_of_date", "build_hash"]) }} {%- endmacro %}

{#- The described columns of a model, keys left out, as a dict by name; those that it inherits come first. -#}
{% macro columns_of(model_name) -%}
    {%- set columns = {} -%}
    {%- for node in graph.nodes.values() if node.resource_type == "model" and node.name == model_name -%}
        {%- for parent in node.config.meta.get("columns_of", []) -%} {%- do columns.update(columns_of(parent)) -%} {%- endfor -%}
        {%- for name, column in node.columns.items() if name not in key_columns() -%}
            {%- do columns.update({name: column}) -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(columns) }}
{%- endmacro %}

{#- Renders `relation.column` for every column of a model that is not a key, each followed by a comma. A column of a
    feature group that is switched off stays, as NULL. -#}
{% macro feature_columns(model_name, relation) -%}
    {%- if execute -%}
        {%- set groups = setting("feature_groups") -%}
        {%- for name, column in columns_of(model_name).items() -%}
            {%- set group = column.config.meta.get("group") -%}
            {%- if group is none or group in groups %} {{ relation }}.{{ name }},
            {%- else %} cast(null as {{ column.data_type }}) as {{ name }},
            {%- endif %}
        {% endfor -%}
    {%- endif -%}
{%- endmacro %}

{% macro get_assert_columns_equivalent(sql) -%}
    {%- for parent in (config.get("meta") or {}).get("columns_of", []) -%}
        {%- do model["columns"].update(columns_of(parent)) -%}
    {%- endfor -%}
    {{ return(adapter.dispatch("get_assert_columns_equivalent", "dbt")(sql)) }}
{%- endmacro %}
