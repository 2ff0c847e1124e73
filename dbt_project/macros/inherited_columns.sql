{#- A feature is described once, with the model that computes it. Wider tables take columns over from the models that
    their `meta.columns_of` names: the SQL through `feature_columns`, the contract through the override below. So a new
    feature is one SQL column and its YAML entry. A model with `meta.declared_by` has columns that a setting declares, of the
    role that the model names. -#}
{% macro key_columns() -%} {{ return(["customer_id", "as_of_date", "build_hash"]) }} {%- endmacro %}

{#- The described columns of a model, keys left out, as a dict by name; those that it inherits come first. -#}
{% macro columns_of(model_name) -%}
    {%- set columns = {} -%}
    {%- for node in product_models() if node.name == model_name -%}
        {%- for parent in node.config.meta.get("columns_of", []) -%}
            {%- do columns.update(columns_of(parent)) -%}
        {%- endfor -%}
        {%- for name, column in node.columns.items() if name not in key_columns() -%}
            {%- do columns.update({name: column}) -%}
        {%- endfor -%}
        {%- if node.config.meta.get("declared_by") == "customer_attributes" -%}
            {%- for name, column in attribute_columns().items() -%}
                {%- do column.config.meta.update({"role": node.config.meta.role}) -%}
                {%- do columns.update({name: column}) -%}
            {%- endfor -%}
        {%- elif node.config.meta.get("declared_by") == "horizons" -%}
            {%- do columns.update(horizon_columns(node.config.meta.column_says)) -%}
        {%- endif -%}
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
    {%- set meta = config.get("meta") or {} -%}
    {%- for parent in meta.get("columns_of", []) -%}
        {%- do model["columns"].update(columns_of(parent)) -%}
    {%- endfor -%}
    {%- if meta.get("declared_by") == "customer_attributes" -%}
        {%- do model["columns"].update(attribute_columns()) -%}
    {%- elif meta.get("declared_by") == "horizons" -%}
        {%- do model["columns"].update(horizon_columns(meta.column_says)) -%}
    {%- endif -%}
    {{ return(adapter.dispatch("get_assert_columns_equivalent", "dbt")(sql)) }}
{%- endmacro %}
