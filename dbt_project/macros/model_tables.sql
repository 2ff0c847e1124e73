{#- The tables that Python writes. Created empty where absent, so that plain dbt works before any training. -#}
{% macro create_model_tables() -%}{%- endmacro %}
