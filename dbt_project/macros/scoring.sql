{#- How this run scores: {"method": what clv_method will say, "model": what the manifest says or none}. The SQL function
    `clv_plan` knows the model in use and what it must fit; it is told what today is. A model that cannot be used fails
    the run by name, or, with fallback_to_simple, says so in the rows. -#}
{% macro scoring_plan() -%}
    {#- named before any early return, so that dbt sees the dependency while it parses -#}
    {%- set rows = ref("scoring_rows") -%}
    {%- if not execute -%} {{ return({"method": "no model", "model": none}) }} {%- endif -%}
    {%- if not formulas_are_here() -%} {{ return({"method": "no plugin", "model": none}) }} {%- endif -%}
    {%- set told = tojson(facts_of_today(rows)).replace("'", "''") -%}
    {%- set plan = fromjson(run_query("select clv_plan('" ~ told ~ "') as plan").columns[0].values()[0]) -%}
    {%- if plan.refusal and not setting("fallback_to_simple") -%}
        {{ exceptions.raise_compiler_error(plan.refusal) }}
    {%- elif plan.refusal -%} {%- do exceptions.warn("Falling back to the best baseline. " ~ plan.refusal) -%}
    {%- endif -%}
    {{ return(plan) }}
{%- endmacro %}

{#- The line that a run ends with where a formula values customers who have bought. -#}
{% macro say_who_has_no_model(results) -%}
    {%- set hints = {"no model": " `clv run` trains one.", "no plugin": " Another needs the plugin, a line of profiles.yml."} -%}
    {%- for result in (results if execute else []) if result.node.name == "customer_clv" and result.status == "success" -%}
        {%- set asked -%}
            select clv_method, count(*) as customers
            from {{ result.node.relation_name }}
            where position(': ' in clv_method) > 0
            group by clv_method
            order by count(*) desc, clv_method
        {%- endset -%}
        {%- for row in run_query(asked).rows[:1] -%}
            {%- do log(
                "clv_estimate is a formula for " ~ row[1] ~ " customers (" ~ row[0] ~ "), the best of those that need no"
                ~ " model." ~ hints.get(row[0].split(": ")[-1], ""), info=true
            ) -%}
        {%- endfor -%}
    {%- endfor -%}
{%- endmacro %}

{#- What a model has to fit: settings, types of the columns that it may read, and what defines the features. -#}
{% macro facts_of_today(rows) -%}
    {%- set settings, columns = {}, {} -%}
    {%- for name, rule in setting_rules().items() if rule.allowed.type != "date" -%}
        {%- do settings.update({name: setting(name)}) -%}
    {%- endfor -%}
    {%- for column in adapter.get_columns_in_relation(rows) -%}
        {%- do columns.update({column.name: column.dtype}) -%}
    {%- endfor -%}
    {{ return({"settings": settings, "columns": columns, "definitions": feature_definitions()}) }}
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

{#- Whether the model learned from what happened after a date: from a window that ended, or became final, later. -#}
{% macro knew_later(model, as_of) -%}
    {%- if model.training_dates -%}
        {{ as_of }} < {{ label_known_at("cast('" ~ model.training_dates | max ~ "' as date)") }}
    {%- else -%} false
    {%- endif -%}
{%- endmacro %}

{#- How far an estimate may be relied on for one customer: whether nearly all such customers buy again, most, or fewer. -#}
{% macro certainty(churn_probability) -%}
    cast(
        case
            when {{ churn_probability }} < {{ (1 - setting("interval_coverage")) / 2 }}
            then 'high'
            when {{ churn_probability }} < 0.5e0
            then 'medium'
            when {{ churn_probability }} is not null
            then 'low'
        end as string
    )
{%- endmacro %}

{#- Which of a number of equal groups of known rows a row belongs to, 0 the lowest, by how many known rows lie below it.
    Equal values share a group; the column `is_known` is 1 or 0. -#}
{% macro place_among_known(groups, within, key) -%}
    least(
        {{ groups - 1 }},
        cast(
            floor(
                coalesce(
                    {{ ratio(
                        groups ~ " * (sum(is_known) over (partition by " ~ within ~ " order by " ~ key
                        ~ " nulls last) - sum(is_known) over (partition by " ~ within ~ ", " ~ key ~ "))",
                        "nullif(sum(is_known) over (partition by " ~ within ~ "), 0)"
                    ) }},
                    0.0e0
                )
            ) as int
        )
    )
{%- endmacro %}

{#- Three quantiles of how long buyers waited: the ends of the window of the next order, and its middle. -#}
{% macro wait_quantiles(days) -%}
    percentile_disc({{ wait_share_outside() }}) within group (order by {{ days }}) as low_days,
    percentile_disc(0.5) within group (order by {{ days }}) as middle_days,
    percentile_disc({{ 1 - wait_share_outside() | float }}) within group (order by {{ days }}) as high_days
{%- endmacro %}
