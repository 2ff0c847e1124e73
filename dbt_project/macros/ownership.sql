{#- Whose a relation is. A warehouse may hold tables of others: none of them is replaced, and nothing is created among
    them. -#}
{% macro own_schema() -%}
    {{ return(api.Relation.create(database=target.database | default(none), schema=own_schema_name())) }}
{%- endmacro %}

{#- The schema that all models and the tables of Python are in, also in a project of others: CLV_SCHEMA, or the target's. -#}
{% macro own_schema_name() -%}
    {{ return(env_var("CLV_SCHEMA", target.schema) if target.type == "duckdb" else target.schema) }}
{%- endmacro %}

{#- Asked by dbt for the models of this package alone. -#}
{% macro generate_schema_name(custom_schema_name, node) -%} {{ own_schema_name() }} {%- endmacro %}

{#- Where a version before 0.2.0 built. -#}
{% macro schema_main() -%}
    {{ return(api.Relation.create(database=target.database | default(none), schema="main")) }}
{%- endmacro %}

{#- The models of this package, among those of the project that uses it. -#}
{% macro product_models() -%}
    {{
        return(
            graph.get("nodes", {}).values()
            | selectattr("resource_type", "equalto", "model")
            | selectattr("package_name", "equalto", "clv")
            | list
        )
    }}
{%- endmacro %}

{#- Refuses to run where dbt reads a model or source of the project in place of ours of the same name. -#}
{% macro require_own_references() -%}
    {%- set others = [] -%}
    {%- for node in product_models() -%}
        {%- for id in node.depends_on.nodes if id.split(".")[1] != "clv" and id not in others -%}
            {%- do others.append(id) -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- if others -%}
        {%- do exceptions.raise_compiler_error(
            "The package clv has what is called " ~ others | sort | join(", ") ~ " too, and dbt reads the project's in its place."
            ~ " Nothing was touched. Add to the project's dbt_project.yml, under flags:"
            ~ " require_ref_searches_node_package_before_root: true"
        ) -%}
    {%- endif -%}
{%- endmacro %}

{#- Names of what stands in a schema, in lower case. -#}
{% macro names_in(schema) -%} {{ return(adapter.dispatch("names_in", "clv")(schema)) }} {%- endmacro %}

{% macro duckdb__names_in(schema) -%}
    {%- set found = run_query(
        "select lower(table_name) from system.information_schema.tables where lower(table_catalog) = lower('"
        ~ schema.database ~ "') and lower(table_schema) = lower('" ~ schema.schema ~ "')"
    ) -%}
    {{ return(found.columns[0].values() | list) }}
{%- endmacro %}

{% macro spark__names_in(schema) -%}
    {%- if not adapter.check_schema_exists(schema.database, schema.schema) -%} {{ return([]) }} {%- endif -%}
    {{ return(run_query("show tables in " ~ schema.schema).columns[1].values() | map("lower") | list) }}
{%- endmacro %}

{#- Names of the views in a schema, in lower case. -#}
{% macro views_in(schema) -%} {{ return(adapter.dispatch("views_in", "clv")(schema)) }} {%- endmacro %}

{% macro duckdb__views_in(schema) -%}
    {%- set found = run_query(
        "select lower(table_name) from system.information_schema.tables where table_type = 'VIEW' and lower(table_catalog) ="
        ~ " lower('" ~ schema.database ~ "') and lower(table_schema) = lower('" ~ schema.schema ~ "')"
    ) -%}
    {{ return(found.columns[0].values() | list) }}
{%- endmacro %}

{% macro spark__views_in(schema) -%}
    {{ return(run_query("show views in " ~ schema.schema).columns[1].values() | map("lower") | list) }}
{%- endmacro %}

{#- Names of all that the product makes in the target's schema: models and the tables that Python writes. -#}
{% macro own_names() -%}
    {%- set names = source_tables("model") | map(attribute="name") | list -%}
    {%- for node in product_models() if node.schema == own_schema_name() -%}
        {%- if node.config.materialized != "ephemeral" -%}
            {%- do names.append(node.alias | lower) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(names) }}
{%- endmacro %}

{#- Names that the product has claimed in this schema; every one that stands there, where an earlier version made it. -#}
{% macro claimed_names(present) -%}
    {%- if "own_relations" in present -%} {{ return(listed_names()) }} {%- endif -%}
    {{ return(present if is_of_earlier_version(present) else []) }}
{%- endmacro %}

{#- Whether a version before 0.2.0 made what stands in a schema: such a version kept no list. -#}
{% macro is_of_earlier_version(present) -%}
    {{ return("model_registry" in present and "fitted_parameters" in present and "own_relations" not in present) }}
{%- endmacro %}

{#- A table that Python or a hook writes, as SQL names it. -#}
{% macro model_table(name) -%}
    {%- set table = source_tables("model") | selectattr("name", "equalto", name) | first -%}
    {{ return(table.relation_name) }}
{%- endmacro %}

{#- Names that the table has. -#}
{% macro listed_names() -%}
    {{ return(run_query("select relation_name from " ~ model_table("own_relations")).columns[0].values() | list) }}
{%- endmacro %}

{#- Refuses to run where a relation of ours would replace one that the product did not make, and where another schema
    has what an earlier version made. -#}
{% macro require_own_relations() -%}
    {%- set present = names_in(own_schema()) -%}
    {%- if not present and own_schema_name() != "main" and is_of_earlier_version(names_in(schema_main())) -%}
        {%- do exceptions.raise_compiler_error(
            "An earlier version built this warehouse in the schema 'main', with its history of scores. Nothing was touched."
            ~ " Set CLV_SCHEMA=main to go on with it. Views and tables of readers stay where they are."
        ) -%}
    {%- endif -%}
    {%- set claimed = claimed_names(present) -%}
    {%- set others = own_names() | select("in", present) | reject("in", claimed) | sort -%}
    {%- if others -%}
        {%- do exceptions.raise_compiler_error(
            "Schema '" ~ own_schema_name() ~ "' holds " ~ others | join(", ") ~ ", which this product did not make and would"
            ~ " replace. Nothing was touched. Set CLV_SCHEMA to a schema of its own, or rename what stands there."
        ) -%}
    {%- endif -%}
{%- endmacro %}

{#- Remembers the names as the product's own before anything of that name is made: a run that is killed leaves nothing
    that the next one refuses. -#}
{% macro claim_own_relations() -%}
    {%- set rows = [] -%}
    {%- for name in own_names() | reject("in", listed_names()) -%}
        {%- do rows.append("('" ~ name ~ "', '" ~ product_version() ~ "', " ~ dbt.current_timestamp() ~ ")") -%}
    {%- endfor -%}
    {%- if rows -%}
        {%- do run_query("insert into " ~ model_table("own_relations") ~ " values " ~ rows | join(", ")) -%}
    {%- endif -%}
{%- endmacro %}

{#- Gives the warehouse the identity of its shop when it is first made, and notes each version of the product that has
    built in it. -#}
{% macro name_shop() -%}
    {%- set table = model_table("shop_identity") -%}
    {%- set known = run_query("select shop_id, product_version from " ~ table) -%}
    {%- set versions = known.columns[1].values() | list -%}
    {%- if product_version() not in versions -%}
        {%- set shop_id = "'" ~ known.columns[0].values()[0] ~ "'" if versions else "cast(uuid() as string)" -%}
        {%- do run_query(
            "insert into " ~ table ~ " select " ~ shop_id ~ ", '" ~ product_version() ~ "', " ~ dbt.current_timestamp()
        ) -%}
    {%- endif -%}
{%- endmacro %}

{#- Refuses, before anything is built, to score with the model of another shop; without the plugin nothing can. -#}
{% macro require_own_model() -%}
    {%- if execute and setting("use_ml_clv") -%}
        {{ adapter.dispatch("require_own_model", "clv")() }}
    {%- endif -%}
{%- endmacro %}

{% macro duckdb__require_own_model() -%}
    {%- set asked = "select clv_foreign_model(max(shop_id)) from " ~ model_table("shop_identity") -%}
    {%- set refusal = run_query(asked).columns[0].values()[0] if has_functions() else none -%}
    {%- if refusal -%} {%- do exceptions.raise_compiler_error(refusal) -%} {%- endif -%}
{%- endmacro %}

{#- Nothing: models made on Spark name no shop, and a shop may move to Spark with its models. -#}
{% macro spark__require_own_model() -%} {%- endmacro %}

{#- The schema of the raw tables. -#}
{% macro raw_schema() -%}
    {%- set parts = setting("raw_schema").split(".") -%}
    {%- set catalog = parts[0] if parts | length > 1 else target.database | default(none) -%}
    {{ return(api.Relation.create(database=catalog, schema=parts[-1])) }}
{%- endmacro %}

{#- Refuses a raw schema that others made and that lacks a table: it is theirs, and nothing is created there. -#}
{% macro require_raw_tables(tables) -%}
    {%- set present = names_in(raw_schema()) -%}
    {%- set missing = tables | rejectattr("name", "in", present) | list -%}
    {%- if "events" in present and "quarantine" not in present -%}
        {%- set statements = [] -%}
        {%- for table in missing -%}
            {%- do statements.append(
                "create table " ~ setting("raw_schema") ~ "." ~ table.name ~ " (" ~ column_definitions(table) ~ ");"
            ) -%}
        {%- endfor -%}
        {%- do exceptions.raise_compiler_error(
            "Schema '" ~ setting("raw_schema") ~ "' (setting 'raw_schema') has the table events and lacks "
            ~ missing | map(attribute="name") | join(", ") ~ ". Nothing was created in a schema of others. Create them"
            ~ " there, or name a schema of views on your tables that has them:\n" ~ statements | join("\n")
        ) -%}
    {%- endif -%}
{%- endmacro %}
