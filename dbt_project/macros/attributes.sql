{#- Attributes of customers (channel, country, plan, any number) as features. The setting `customer_attributes` declares
    them; columns, SQL and checks all follow from it here. -#}
{#- Refuses a declaration that names no column or that could mean two things. -#}
{% macro check_attributes(declared) -%}
    {%- if declared is not mapping -%}
        {{ refuse_setting("must map each attribute to `number` or to a list of levels, as in {plan: [basic, plus]}") }}
    {%- endif -%}
    {%- for attribute, kind in declared.items() -%}
        {%- if modules.re.fullmatch("[a-z][a-z0-9_]{0,29}", attribute | string) is none -%}
            {{ refuse_setting(
                "names " ~ (attribute | tojson) ~ ", which cannot be a column: use a small letter, then up to 29 small"
                ~ " letters, digits and '_', and give the column that name in the feed"
            ) }}
        {%- endif -%}
        {%- if kind != "number" and (kind is string or kind is not sequence or kind is mapping or kind | length == 0) -%}
            {{ refuse_setting("declares '" ~ attribute ~ "' as " ~ (kind | tojson) ~ ": write `number` or a list of levels") }}
        {%- endif -%}
        {%- for level in kind if kind != "number" -%}
            {%- if level is not string or modules.re.fullmatch("[^'\"\\\\\\x00-\\x1f]{1,60}", level) is none -%}
                {{ refuse_setting(
                    "gives '" ~ attribute ~ "' the level " ~ (level | tojson) ~ ", which is not plain text of 1 to 60"
                    ~ " characters without quotes or backslashes: YAML reads a bare NO or 2024 as no text, so quote it"
                ) }}
            {%- endif -%}
        {%- endfor -%}
    {%- endfor -%}
{%- endmacro %}

{% macro refuse_setting(fault) -%}
    {{ exceptions.raise_compiler_error(
        "Setting 'customer_attributes' " ~ fault ~ ". Correct it in dbt_project.yml or in --vars."
    ) }}
{%- endmacro %}

{#- The feature columns that the declared attributes give, as a dict by name: what a contract says of a column, and in
    `sql` how it is read from the text of an attribute row. -#}
{% macro attribute_columns() -%}
    {%- set columns = {} -%}
    {%- for attribute, kind in setting("customer_attributes").items() -%}
        {%- set text = attribute_text(attribute) -%}
        {%- for level in ([none] if kind == "number" else kind) -%}
            {%- if level is none -%}
                {%- set name = "attribute_" ~ attribute -%}
                {%- set column = {
                    "data_type": "decimal(18,6)",
                    "sql": attribute_number(text),
                    "description": "The attribute " ~ attribute ~ " as last known before the date; NULL where it was not.",
                    "unit": "as delivered"
                } -%}
            {%- else -%}
                {%- set slug = modules.re.sub("[^a-z0-9]+", "_", level | lower).strip("_") -%}
                {%- set name = "attribute_" ~ attribute ~ "_is_" ~ slug -%}
                {%- set column = {
                    "data_type": "int",
                    "sql": one_hot(text, level),
                    "description": "1 where " ~ attribute ~ " was last known to be " ~ level ~ ", else 0; NULL where it was not known.",
                    "unit": "flag"
                } -%}
                {%- if not slug -%}
                    {{ refuse_setting("gives '" ~ attribute ~ "' the level '" ~ level ~ "', of which no column name can be made") }}
                {%- endif -%}
            {%- endif -%}
            {%- if name in columns -%}
                {{ refuse_setting("makes two columns called " ~ name ~ ": leave one attribute or level out, or rename it") }}
            {%- endif -%}
            {%- do columns.update({name: {
                "name": name,
                "data_type": column.data_type,
                "description": column.description,
                "constraints": [],
                "config": {"meta": {"unit": column.unit}},
                "sql": column.sql
            }}) -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(columns) }}
{%- endmacro %}

{#- An attribute of the row in hand as text; NULL where absent or empty. -#}
{% macro attribute_text(attribute) -%}
    nullif(trim({{ json_text("attributes", attribute) }}), '')
{%- endmacro %}

{% macro attribute_number(text) -%} try_cast({{ text }} as decimal(18, 6)) {%- endmacro %}

{#- Fails the model where a declared attribute never arrived, or one declared as a number holds something else: a column
    that is silently NULL would teach a model nothing and tell nobody. -#}
{% macro refuse_attributes() -%}
    {%- if execute -%}
        {%- set delivered = ref("stg_attributes") -%}
        {%- for attribute, kind in setting("customer_attributes").items() -%}
            {%- set found -%}
                select
                    count(*) as row_count,
                    count({{ attribute_text(attribute) }}) as known_count,
                    min(case when {{ attribute_number(attribute_text(attribute)) }} is null then {{ attribute_text(attribute) }} end)
                        as no_number,
                    min({{ json_names("attributes") }}) as names
                from {{ delivered }}
            {%- endset -%}
            {%- set row = run_query(found).rows[0] -%}
            {%- if row[0] > 0 and row[1] == 0 -%}
                {{ exceptions.raise_compiler_error(
                    "Setting 'customer_attributes' declares '" ~ attribute ~ "', which no row of " ~ setting("raw_schema")
                    ~ ".attributes holds; a row holds: " ~ row[3] ~ ". Declare one of these, or feed the attribute"
                    ~ " (clv ingest --preset attributes)."
                ) }}
            {%- elif kind == "number" and row[2] is not none -%}
                {{ exceptions.raise_compiler_error(
                    "Setting 'customer_attributes' declares '" ~ attribute ~ "' as a number, but a row of "
                    ~ setting("raw_schema") ~ ".attributes holds '" ~ row[2] ~ "'. Declare its levels instead, or"
                    ~ " correct the row."
                ) }}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}
