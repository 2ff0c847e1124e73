{#- The tables that dbt reads and does not build: ingestion writes those of `raw`, Python those of `model`. Created empty
    where absent, so that plain dbt works on an empty warehouse and before any training. Their columns stand in the YAML
    of the sources. Nothing is created, and no model runs, where that would touch what others made. -#}
{% macro create_source_tables() -%}
    {%- if execute -%}
        {%- set raw_tables = source_tables("raw") -%}
        {%- do require_own_references() -%}
        {%- do require_raw_tables(raw_tables) -%}
        {%- do require_own_relations() -%}
        {%- do adapter.create_schema(own_schema()) -%}
        {%- do run_query("create schema if not exists " ~ setting("raw_schema")) -%}
        {%- for table in raw_tables -%}
            {%- do create_table(setting("raw_schema") ~ "." ~ table.name, table) -%}
        {%- endfor -%}
        {%- for table in source_tables("model") -%}
            {%- do create_table(table.relation_name, table) -%}
        {%- endfor -%}
        {%- do claim_own_relations() -%}
        {%- do name_shop() -%}
    {%- endif -%}
{%- endmacro %}

{% macro source_tables(source_name) -%}
    {%- set of_product = graph.sources.values() | selectattr("package_name", "equalto", "clv") -%}
    {{ return(of_product | selectattr("source_name", "equalto", source_name) | list) }}
{%- endmacro %}

{% macro create_table(place, table) -%}
    {%- do run_query("create table if not exists " ~ place ~ " (" ~ column_definitions(table) ~ ")") -%}
{%- endmacro %}

{#- The described columns of a source's table, as `create table` takes them. -#}
{% macro column_definitions(table) -%}
    {%- set columns = [] -%}
    {%- for column in table.columns.values() -%}
        {%- do columns.append(column.name ~ " " ~ column.data_type ~ (" not null" if column.constraints else "")) -%}
    {%- endfor -%}
    {{ return(columns | join(", ")) }}
{%- endmacro %}
