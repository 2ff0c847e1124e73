{#- The seams between engines. A model calls these and holds no engine's dialect. -#}
{#- Whole seconds since 1970-01-01 UTC, as bigint. -#}
{% macro epoch_seconds(instant) -%}
    {{ return(adapter.dispatch("epoch_seconds", "clv")(instant)) }}
{%- endmacro %}

{% macro duckdb__epoch_seconds(instant) -%} cast(floor(epoch({{ instant }})) as bigint) {%- endmacro %}

{% macro spark__epoch_seconds(instant) -%} unix_seconds(cast({{ instant }} as timestamp)) {%- endmacro %}

{#- The last second of the day that begins at an instant. -#}
{% macro end_of_day(instant) -%} {{ return(adapter.dispatch("end_of_day", "clv")(instant)) }} {%- endmacro %}

{% macro duckdb__end_of_day(instant) -%} {{ instant }} + interval 86399 seconds {%- endmacro %}

{% macro spark__end_of_day(instant) -%} {{ instant }} + interval 86399 seconds {%- endmacro %}

{#- A UTC instant on the shop's clock. -#}
{% macro shop_time(instant) -%} {{ return(adapter.dispatch("shop_time", "clv")(instant)) }} {%- endmacro %}

{% macro duckdb__shop_time(instant) -%}
    timezone('{{ setting("store_timezone") }}', timezone('UTC', {{ instant }}))
{%- endmacro %}

{% macro spark__shop_time(instant) -%}
    from_utc_timestamp({{ instant }}, '{{ setting("store_timezone") }}')
{%- endmacro %}

{#- A whole number wide enough for sums of squares of seconds or cents. -#}
{% macro wide(number) -%} {{ return(adapter.dispatch("wide", "clv")(number)) }} {%- endmacro %}

{% macro duckdb__wide(number) -%} cast({{ number }} as hugeint) {%- endmacro %}

{% macro spark__wide(number) -%} cast({{ number }} as decimal(38, 0)) {%- endmacro %}

{#- Spark rounds the shortest decimal that stands for a double (1.005 to 1.01), DuckDB the double itself, times 100 (to
    1.00): here as DuckDB does. Decimals are exact on both. -#}
{% macro spark__money(amount) -%}
    case
        when typeof({{ amount }}) = 'double'
        then cast(round(({{ amount }}) * 100.0e0) / 100.0e0 as decimal(18, 2))
        else cast(round({{ amount }}, 2) as decimal(18, 2))
    end
{%- endmacro %}

{#- The first twelve hex digits of md5(text) as bigint, to add up into a fingerprint that no row order can change. -#}
{% macro md5_number(text) -%} {{ return(adapter.dispatch("md5_number", "clv")(text)) }} {%- endmacro %}

{% macro duckdb__md5_number(text) -%} cast('0x' || substr(md5({{ text }}), 1, 12) as bigint) {%- endmacro %}

{% macro spark__md5_number(text) -%}
    cast(conv(substr(md5({{ text }}), 1, 12), 16, 10) as bigint)
{%- endmacro %}

{#- A value of a JSON object as text, by its name, which must be plain; NULL where absent. -#}
{% macro json_text(document, name) -%}
    {{ return(adapter.dispatch("json_text", "clv")(document, name)) }}
{%- endmacro %}

{% macro duckdb__json_text(document, name) -%}
    json_extract_string({{ document }}, '$.{{ name }}')
{%- endmacro %}

{% macro spark__json_text(document, name) -%} get_json_object({{ document }}, '$.{{ name }}') {%- endmacro %}

{#- A text as SQL writes it, whatever quotes are in it; it has no backslash. -#}
{% macro text_literal(text) -%} {{ return(adapter.dispatch("text_literal", "clv")(text)) }} {%- endmacro %}

{% macro duckdb__text_literal(text) -%} {{ return("'" ~ text | replace("'", "''") ~ "'") }} {%- endmacro %}

{% macro spark__text_literal(text) -%} {{ return("'" ~ text | replace("'", "\\'") ~ "'") }} {%- endmacro %}

{#- The names in a JSON object, as one text. -#}
{% macro json_names(document) -%}
    {{ return(adapter.dispatch("json_names", "clv")(document)) }}
{%- endmacro %}

{% macro duckdb__json_names(document) -%} array_to_string(json_keys({{ document }}), ', ') {%- endmacro %}

{% macro spark__json_names(document) -%} array_join(json_object_keys({{ document }}), ', ') {%- endmacro %}

{#- All values of a group as one list. -#}
{% macro list_of(value) -%} {{ return(adapter.dispatch("list_of", "clv")(value)) }} {%- endmacro %}

{% macro duckdb__list_of(value) -%} list({{ value }}) {%- endmacro %}

{% macro spark__list_of(value) -%} collect_list({{ value }}) {%- endmacro %}

{#- A list of structs (measure, measure_value) with the name and the value, as double, of each column. -#}
{% macro named_values(names) -%} {{ return(adapter.dispatch("named_values", "clv")(names)) }} {%- endmacro %}

{% macro duckdb__named_values(names) -%}
    [
        {% for name in names %}
            struct_pack(
                measure := '{{ name }}', measure_value := cast({{ name }} as double)
            ){{ "," if not loop.last }}
        {%- endfor %}
    ]
{%- endmacro %}

{% macro spark__named_values(names) -%}
    array(
        {% for name in names %}
            named_struct(
                'measure', '{{ name }}', 'measure_value', cast({{ name }} as double)
            ){{ "," if not loop.last }}
        {%- endfor %}
    )
{%- endmacro %}

{#- A number rounded to a whole, its digits grouped by commas, as text. -#}
{% macro grouped_digits(number) -%}
    {{ return(adapter.dispatch("grouped_digits", "clv")(number)) }}
{%- endmacro %}

{% macro duckdb__grouped_digits(number) -%}
    format('{:,}', cast(round({{ number }}) as hugeint))
{%- endmacro %}

{% macro spark__grouped_digits(number) -%} format_number(round({{ number }}), 0) {%- endmacro %}

{#- A list of the whole numbers from the first to the last. -#}
{% macro whole_numbers(first, last) -%}
    {{ return(adapter.dispatch("whole_numbers", "clv")(first, last)) }}
{%- endmacro %}

{% macro duckdb__whole_numbers(first, last) -%} generate_series({{ first }}, {{ last }}) {%- endmacro %}

{% macro spark__whole_numbers(first, last) -%} sequence({{ first }}, {{ last }}) {%- endmacro %}

{#- One row per element of a list. -#}
{% macro explode(elements) -%} {{ return(adapter.dispatch("explode", "clv")(elements)) }} {%- endmacro %}

{% macro duckdb__explode(elements) -%} unnest({{ elements }}) {%- endmacro %}

{% macro spark__explode(elements) -%} explode({{ elements }}) {%- endmacro %}

{#- Whether the functions of Python may be called. Without the plugin all is built as before the first fit; once there
    was one, that would replace what it led to, and is refused. -#}
{% macro formulas_are_here() -%}
    {%- if not execute or has_functions() -%} {{ return(true) }} {%- endif -%}
    {%- if run_query("select 1 from " ~ model_table("fitted_parameters") ~ " limit 1").rows | length -%}
        {%- do exceptions.raise_compiler_error(
            "`clv` has fitted here what its functions need, and this dbt has no such functions: nothing was replaced. Add to"
            ~ " the target in profiles.yml: plugins: [{module: clv_ml.serve.dbt_plugin}]. Or build features alone,"
            ~ " `dbt run --select +customer_features`, and let `clv score` do the rest."
        ) -%}
    {%- endif -%}
    {{ return(false) }}
{%- endmacro %}

{#- Whether this session was given the functions. -#}
{% macro has_functions() -%} {{ return(adapter.dispatch("has_functions", "clv")()) }} {%- endmacro %}

{% macro duckdb__has_functions() -%}
    {{ return(run_query("select 1 from duckdb_functions() where function_name = 'clv_plan'").rows | length > 0) }}
{%- endmacro %}

{% macro spark__has_functions() -%} {{ return(true) }} {%- endmacro %}
