{#- What the scoring models need to know of the champion, and whether it may score today.

    The engine's plugin registers `clv_model()`, which returns the manifest as JSON (NULL without a champion), and
    `clv_score` and `clv_explain`, whose argument has exactly the columns that the manifest lists. -#}
{#- The manifest of the model in use as a dict, or none. -#}
{% macro champion() -%}
    {%- if not execute -%} {{ return(none) }} {%- endif -%}
    {%- set text = run_query("select clv_model() as manifest").columns[0].values()[0] -%}
    {{ return(fromjson(text) if text else none) }}
{%- endmacro %}

{#- How this run scores: {"method": ..., "model": manifest or none}. `method` is what clv_method will say. A model that
    cannot be used fails the run by name, or, with fallback_to_simple, says so in the rows. -#}
{% macro scoring_plan() -%}
    {#- named before any early return, so that dbt sees the dependency while it parses -#}
    {%- set tables = [ref("customer_features"), ref("customer_baselines"), ref("customer_anchors")] -%}
    {%- if not execute -%} {{ return({"method": "simple: no model", "model": none}) }} {%- endif -%}
    {%- if not setting("use_ml_clv") -%}
        {{ return({"method": "simple: model switched off", "model": none}) }}
    {%- endif -%}
    {%- set model = champion() -%}
    {%- if model is none -%} {{ return({"method": "simple: no model", "model": none}) }} {%- endif -%}
    {%- set refusal = model.get("error") or why_refused(model, tables) -%}
    {%- if not refusal -%}
        {{ return({"method": "model, with caution" if model.caution else "model", "model": model}) }}
    {%- endif -%}
    {%- if setting("fallback_to_simple") -%}
        {%- do exceptions.warn("Falling back to the simple estimate. " ~ refusal) -%}
        {{ return({"method": "simple: model refused", "model": none}) }}
    {%- endif -%}
    {{ exceptions.raise_compiler_error(refusal) }}
{%- endmacro %}

{#- Why the model does not fit today's tables, or an empty text. -#}
{% macro why_refused(model, tables) -%}
    {%- set who = "Model '" ~ model.version ~ "' " -%}
    {%- set remedy = " Retrain it (clv train), pin another (--vars 'model_version: NAME'), or set fallback_to_simple." -%}
    {%- if model.horizon_days != setting("horizon_days") -%}
        {{ return(
            who ~ "predicts " ~ model.horizon_days ~ " days, but horizon_days is " ~ setting("horizon_days")
            ~ "." ~ remedy ~ " To mean " ~ model.horizon_days ~ " with every command, write it as horizon_days into dbt_project.yml."
        ) }}
    {%- endif -%}
    {%- if model.reporting_currency != setting("reporting_currency") -%}
        {{ return(
            who ~ "predicts " ~ model.reporting_currency ~ ", but reporting_currency is "
            ~ setting("reporting_currency") ~ "." ~ remedy
        ) }}
    {%- endif -%}
    {%- set types = {} -%}
    {%- for table in tables -%}
        {%- for column in adapter.get_columns_in_relation(table) -%}
            {%- do types.update({column.name: model_type(column.dtype)}) -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- set faults = [] -%}
    {%- for feature in model.features -%}
        {%- if feature.name not in types -%} {%- do faults.append(feature.name ~ " is missing") -%}
        {%- elif types[feature.name] != feature.type -%}
            {%- do faults.append(feature.name ~ " is " ~ types[feature.name] ~ ", not " ~ feature.type) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if faults -%}
        {{ return(who ~ "needs columns that the feature tables lack: " ~ faults | join(", ") ~ "." ~ remedy) }}
    {%- endif -%}
    {%- set today = feature_definitions() -%}
    {%- for name, definition in model.feature_definitions.items() -%}
        {%- if today.get(name) != definition -%} {%- do faults.append(name) -%} {%- endif -%}
    {%- endfor -%}
    {%- if faults -%}
        {{ return(
            who ~ "was trained on other feature definitions; changed since: " ~ faults | join(", ") ~ "." ~ remedy
        ) }}
    {%- endif -%}
    {{ return("") }}
{%- endmacro %}

{#- An engine's type name as the manifest writes it: integer, decimal, double or boolean. -#}
{% macro model_type(dtype) -%}
    {%- set name = dtype | lower -%}
    {%- if "int" in name -%} {{ return("integer") }}
    {%- elif name.startswith("decimal") -%} {{ return("decimal") }}
    {%- elif name in ("double", "float", "real") -%} {{ return("double") }}
    {%- elif name.startswith("bool") -%} {{ return("boolean") }}
    {%- else -%} {{ return(name) }}
    {%- endif -%}
{%- endmacro %}

{#- The argument of clv_score and clv_explain: a struct of columns of the model, by name, as doubles. -#}
{% macro model_struct(model, columns=none, also=[]) -%}
    {%- set parts = [] -%}
    {%- for name in also -%} {%- do parts.append((name, name)) -%} {%- endfor -%}
    {%- for name in columns or model_columns(model) -%}
        {%- do parts.append((name, "cast(" ~ name ~ " as double)")) -%}
    {%- endfor -%}
    {{ return(adapter.dispatch("struct_of", "clv")(parts)) }}
{%- endmacro %}

{#- The columns that a model reads, each once: its features and the column that it multiplies. -#}
{% macro model_columns(model) -%}
    {%- set names = model.features | map(attribute="name") | list -%}
    {%- if model.anchor and model.anchor not in names -%} {%- do names.append(model.anchor) -%} {%- endif -%}
    {{ return(names) }}
{%- endmacro %}

{% macro duckdb__struct_of(parts) -%}
    struct_pack(
        {%- for name, expression in parts %}
            {{ name }} := {{ expression }}{{ "," if not loop.last }}
        {%- endfor -%}
    )
{%- endmacro %}

{% macro spark__struct_of(parts) -%}
    named_struct(
        {%- for name, expression in parts %}
            '{{ name }}', {{ expression }}{{ "," if not loop.last }}
        {%- endfor -%}
    )
{%- endmacro %}

{#- Which customers are explained in one call: 100,000 a list on DuckDB. Spark gathers the lists of a partition into
    batches by itself, so a list holds one customer there and no partition has to be brought into one order. -#}
{% macro batch_of(key) -%} {{ return(adapter.dispatch("batch_of", "clv")(key)) }} {%- endmacro %}

{% macro duckdb__batch_of(key) -%}
    cast(floor(row_number() over (order by {{ key }}) / 100000.0e0) as int)
{%- endmacro %}

{% macro spark__batch_of(key) -%} {{ key }} {%- endmacro %}

{#- One of the three top drivers as text: name and signed money. -#}
{% macro driver_text(rank) -%}
    wide_drivers.driver_{{ rank }}_name
    || ' ('
    || case when wide_drivers.driver_{{ rank }}_contribution >= 0 then '+' else '' end
    || cast({{ money("wide_drivers.driver_" ~ rank ~ "_contribution") }} as string)
    || ')'
{%- endmacro %}

{#- A number of the manifest as SQL; an open end (null) is the given bound. -#}
{% macro number_or(value, bound) -%}
    cast('{{ value if value is not none else bound }}' as double)
{%- endmacro %}

{#- The row's date has not been scored by this model from these features. What was scored stays as it is. -#}
{% macro not_yet_scored(relation, model) -%}
    {%- if not is_incremental() -%} true
    {%- else -%}
        not exists (
            select 1
            from {{ this }} as earlier
            where
                earlier.as_of_date = {{ relation }}.as_of_date
                and earlier.build_hash = {{ relation }}.build_hash
                and earlier.model_version = '{{ model.version }}'
        )
    {%- endif -%}
{%- endmacro %}
