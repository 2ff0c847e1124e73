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
        {%- do add_missing_columns(raw_tables) -%}
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

{#- Gives raw tables of an earlier version the columns that came later, empty. A view is its owner's: where it lacks a
    column that models read, it is refused with what to add. -#}
{% macro add_missing_columns(tables) -%}
    {%- for table in tables -%}
        {%- set place = setting("raw_schema") ~ "." ~ table.name -%}
        {%- set present = run_query("select * from " ~ place ~ " limit 0").column_names | map("lower") | list -%}
        {%- for column in table.columns.values() if column.name not in present -%}
            {%- if table.name in views_in(raw_schema()) -%} {%- do refuse_missing_column(place, column) -%}
            {%- else -%}
                {%- do run_query("alter table " ~ place ~ " add column " ~ column.name ~ " " ~ column.data_type) -%}
                {%- if column.name == "quote_currency" -%} {%- do name_quotes(place) -%}
                {%- endif -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endfor -%}
{%- endmacro %}

{% macro refuse_missing_column(place, column) -%}
    {%- if (column.config.meta or {}).get("fed", true) -%}
        {%- do exceptions.raise_compiler_error(
            place ~ " is a view of others and lacks the column " ~ column.name ~ ". Add to it: cast(null as "
            ~ column.data_type ~ ") as " ~ column.name ~ "."
        ) -%}
    {%- endif -%}
{%- endmacro %}

{#- What rates of an earlier version are quoted in: what the model in use counts in, else the reporting currency. -#}
{% macro name_quotes(place) -%} {{ return(adapter.dispatch("name_quotes", "clv")(place)) }} {%- endmacro %}

{% macro duckdb__name_quotes(place) -%}
    {%- do run_query(
        "update " ~ place ~ " set quote_currency = coalesce((select max(reporting_currency) from "
        ~ model_table("model_registry") ~ " where is_champion), '" ~ setting("reporting_currency") ~ "')"
    ) -%}
{%- endmacro %}

{#- Nothing: Parquet tables know no update, and a row without a quote is in the reporting currency. -#}
{% macro spark__name_quotes(place) -%} {%- endmacro %}

{#- The described columns of a source's table, as `create table` takes them. -#}
{% macro column_definitions(table) -%}
    {%- set columns = [] -%}
    {%- for column in table.columns.values() -%}
        {%- do columns.append(column.name ~ " " ~ column.data_type ~ (" not null" if column.constraints else "")) -%}
    {%- endfor -%}
    {{ return(columns | join(", ")) }}
{%- endmacro %}
