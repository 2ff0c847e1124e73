{#- The tables that dbt reads and does not build: ingestion writes those of `raw`, Python those of `model`. Created empty
    where absent, so that plain dbt works on an empty warehouse and before any training. Their columns stand in the YAML
    of the sources. -#}
{% macro create_source_tables() -%}
    {%- set schemas = {"raw": setting("raw_schema"), "model": target.schema} -%}
    {%- if execute -%}
        {%- for schema in schemas.values() -%}
            {%- do run_query("create schema if not exists " ~ schema) -%}
        {%- endfor -%}
        {%- for table in graph.sources.values() if table.source_name in schemas -%}
            {%- set place = schemas[table.source_name] ~ "." ~ table.name -%}
            {%- do run_query("create table if not exists " ~ place ~ " (" ~ column_definitions(table) ~ ")") -%}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}

{#- The described columns of a source's table, as `create table` takes them. -#}
{% macro column_definitions(table) -%}
    {%- set columns = [] -%}
    {%- for column in table.columns.values() -%}
        {%- do columns.append(column.name ~ " " ~ column.data_type ~ (" not null" if column.constraints else "")) -%}
    {%- endfor -%}
    {{ return(columns | join(", ")) }}
{%- endmacro %}
