{#- A feature is described once, with the model that computes it. Wider tables take columns over from the models that
    their `meta.columns_of` names: the SQL through `feature_columns`, the contract through the override below. So a new
    feature is one SQL column and its YAML entry. A model with `meta.declared_by` has columns that a setting declares. -#}
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
        {%- do columns.update(declared_columns(node.config.meta)) -%}
    {%- endfor -%}
    {{ return(columns) }}
{%- endmacro %}

{#- The columns that a setting declares for a model with such a `meta`: horizons, or attributes, either as readers see them or
    as features, which have the role that the model names. -#}
{% macro declared_columns(meta) -%}
    {%- set columns = {} -%}
    {%- if meta.get("declared_by") == "horizons" -%}
        {%- do columns.update(horizon_columns(meta.column_says)) -%}
    {%- elif meta.get("declared_as") == "values" -%} {%- do columns.update(attribute_values()) -%}
    {%- elif meta.get("declared_by") == "customer_attributes" -%}
        {%- for name, column in attribute_columns().items() -%}
            {%- do column.config.meta.update({"role": meta.role}) -%}
            {%- do columns.update({name: column}) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(columns) }}
{%- endmacro %}

{#- Renders `relation.column` for every column of a model that is not a key, each followed by a comma. A column of a
    feature group that is switched off stays, as NULL. -#}
{% macro feature_columns(model_name, relation) -%}
    {%- if execute -%}
        {%- set groups = setting("feature_groups") -%}
        {%- for name, column in columns_of(model_name).items() -%}
            {%- set group = column.config.meta.get("group") -%}
            {%- if group is none or group in groups %}
                {{ relation }}.{{ adapter.quote(name) if column.quote else name }},
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
    {%- do model["columns"].update(declared_columns(meta)) -%}
    {{ return(adapter.dispatch("get_assert_columns_equivalent", "dbt")(sql)) }}
{%- endmacro %}
