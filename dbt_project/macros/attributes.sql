{#- Attributes of customers (channel, country, plan, any number) as features. The setting `customer_attributes` declares
    them; columns, SQL and checks all follow from it here. -#}
{#- What is wrong with a declaration, as a sentence: the first that names no column or could mean two things. Empty where
    nothing is. -#}
{% macro attributes_fault(declared) -%}
    {%- set faults, names = [], [] -%}
    {%- if declared is not mapping -%}
        {%- do faults.append("must map each attribute to `number` or to a list of levels, as in {plan: [basic, plus]}") -%}
    {%- endif -%}
    {%- for attribute, kind in (declared.items() if not faults else []) -%}
        {%- if modules.re.fullmatch("[a-z][a-z0-9_]{0,29}", attribute | string) is none -%}
            {%- do faults.append(
                "names " ~ shown_value(attribute) ~ ", which cannot be a column: use a small letter, then up to 29 small"
                ~ " letters, digits and '_', and give the column that name in the feed"
            ) -%}
        {%- elif attribute in names_taken().split() or modules.re.fullmatch("clv_[0-9]+d", attribute) -%}
            {%- do faults.append(
                "names '" ~ attribute ~ "', as a column of customer_clv or a segmentation of segment_value is called already:"
                ~ " give the attribute another name, in the feed too"
            ) -%}
        {%- elif kind == "number" -%} {%- do names.append(attribute_column(attribute)) -%}
        {%- elif kind is string or kind is not sequence or kind is mapping or kind | length == 0 -%}
            {%- do faults.append(
                "declares '" ~ attribute ~ "' as " ~ shown_value(kind) ~ ": write `number` or a list of levels"
            ) -%}
        {%- else -%}
            {%- for level in kind -%}
                {%- do names.append(attribute_column(attribute, level | string)) -%}
                {%- do faults.append(level_fault(attribute, level)) -%}
            {%- endfor -%}
        {%- endif -%}
    {%- endfor -%}
    {%- for name in names if names.count(name) > 1 -%}
        {%- do faults.append("makes two columns called " ~ name ~ ": leave one attribute or level out, or rename it") -%}
    {%- endfor -%}
    {%- set fault = faults | select | first -%}
    {{ "Setting 'customer_attributes' " ~ fault ~ "." if fault }}
{%- endmacro %}

{#- What no attribute may be called: the described columns of customer_clv, where each declared one gets a column of its own
    name, and the segmentations of segment_value. -#}
{% macro names_taken() -%}
    {%- set names = ["all", "value_fifth", "rfm_segment", "value_tier"] -%}
    {%- for node in (product_models() if execute else []) if node.name == "customer_clv" -%}
        {%- do names.extend(node.columns) -%}
    {%- endfor -%}
    {{ names | join(" ") }}
{%- endmacro %}

{#- What is wrong with a level of an attribute, as the sentence goes on; empty where nothing is. -#}
{% macro level_fault(attribute, level) -%}
    {%- if level is not string or modules.re.fullmatch("[^\\\\\\x00-\\x1f\\x7f]{1,60}", level) is none -%}
        {{ "gives '" ~ attribute ~ "' the level " ~ shown_value(level) ~ ", which is not plain text of 1 to 60 characters"
        ~ " without backslashes: YAML reads a bare NO or 2024 as no text, so quote it" }}
    {%- elif level != level.strip() -%}
        {{ "gives '" ~ attribute ~ "' the level " ~ shown_value(level) ~ ", which begins or ends with a space, as no value"
        ~ " that is read does: take the space away" }}
    {%- endif -%}
{%- endmacro %}

{#- The column of a number, or of one level of a text. A name is of plain letters and digits on every engine, so a level of
    other letters is written as domain names are (punycode), and one of signs alone by their codes. -#}
{% macro attribute_column(attribute, level=none) -%}
    {%- set text = level | string | lower -%}
    {%- set plain = text if modules.re.fullmatch("[ -~]*", text) else text.encode("punycode").decode("ascii") -%}
    {%- set slug = modules.re.sub("[^a-z0-9]+", "_", plain).strip("_") or text.encode("utf-8").hex() -%}
    {{ "attribute_" ~ attribute ~ ("_is_" ~ slug if level is not none else "") }}
{%- endmacro %}

{#- The feature columns that the declared attributes give, as a dict by name: what a contract says of a column, and in
    `sql` how it is read from the text of an attribute row. -#}
{% macro attribute_columns() -%}
    {%- set columns = {} -%}
    {%- for attribute, kind in setting("customer_attributes").items() -%}
        {%- set text = attribute_text(attribute) -%}
        {%- for level in ([none] if kind == "number" else kind) -%}
            {%- if level is none -%}
                {%- set column = {
                    "data_type": "decimal(18,6)",
                    "sql": attribute_number(text),
                    "description": "The attribute " ~ attribute ~ " as last known before the date; NULL where it was not.",
                    "unit": "as delivered"
                } -%}
            {%- else -%}
                {%- set column = {
                    "data_type": "int",
                    "sql": one_hot(text, level),
                    "description": "1 where " ~ attribute ~ " was last known to be " ~ level ~ ", else 0; NULL where it was not known.",
                    "unit": "flag"
                } -%}
            {%- endif -%}
            {%- set name = attribute_column(attribute, level) -%}
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

{#- The columns that the declared attributes give to readers, as a dict by attribute: `stored` is its name in
    int_customer_attributes, `sql` how it is read there. Names are quoted, since an attribute may be called like a word of
    SQL. -#}
{% macro attribute_values() -%}
    {%- set columns = {} -%}
    {%- for attribute, kind in setting("customer_attributes").items() -%}
        {%- set text, is_number = attribute_text(attribute), kind == "number" -%}
        {%- do columns.update({attribute: {
            "name": attribute,
            "quote": true,
            "data_type": "decimal(18,6)" if is_number else "string",
            "description": "The attribute " ~ attribute ~ " as last known before as_of_date; NULL where it was not.",
            "constraints": [],
            "config": {"meta": {"unit": "as delivered"} if is_number else {}},
            "stored": "value_of_" ~ attribute,
            "sql": attribute_number(text) if is_number else text
        }}) -%}
    {%- endfor -%}
    {{ return(columns) }}
{%- endmacro %}

{#- An attribute of the row in hand as text; NULL where absent or empty. -#}
{% macro attribute_text(attribute) -%}
    nullif(trim({{ json_text("attributes", attribute) }}), '')
{%- endmacro %}

{% macro attribute_number(text) -%} try_cast({{ text }} as decimal(18, 6)) {%- endmacro %}

{#- Whether every declared number of the row in hand can be read, or is absent: a row with a word in its place is left out
    as a whole, as ingestion quarantines it. -#}
{% macro attributes_are_read() -%}
    {#- Spark reads `where (true)` as a table's alias with the name of a column -#}
    (
        1 = 1
        {%- for attribute, kind in setting("customer_attributes").items() if kind == "number" %}
            and (
                {{ attribute_text(attribute) }} is null
                or {{ attribute_number(attribute_text(attribute)) }} is not null
            )
        {%- endfor %}
    )
{%- endmacro %}

{#- Fails the model where a declared attribute never arrived: a column that is silently NULL would teach a model nothing and
    tell nobody. Of a number that never is one a test warns. -#}
{% macro refuse_attributes() -%}
    {%- if execute -%}
        {%- set delivered = ref("stg_attributes") -%}
        {%- for attribute in setting("customer_attributes") -%}
            {%- set found -%}
                select
                    count(*) as row_count,
                    count({{ attribute_text(attribute) }}) as known_count,
                    min({{ json_names("attributes") }}) as names
                from {{ delivered }}
            {%- endset -%}
            {%- set row = run_query(found).rows[0] -%}
            {%- if row[0] > 0 and row[1] == 0 -%}
                {{ exceptions.raise_compiler_error(
                    "Setting 'customer_attributes' declares '" ~ attribute ~ "', which no row of " ~ setting("raw_schema")
                    ~ ".attributes holds; a row holds: " ~ row[2] ~ ". Declare one of these, or feed the attribute"
                    ~ " (clv ingest --preset attributes)."
                ) }}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}
