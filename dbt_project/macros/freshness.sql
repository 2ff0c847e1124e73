{#- When may a stored feature date be reused? Only while its build_hash is today's: one mechanism, used by dbt's own
    should_full_refresh and by the feature models' date filter. -#}
{#- md5 of the uncompiled text of each model up to features and of each macro that they call, and of the feature settings,
    by name. Engine bodies are left out, so that the hashes are one on all engines. -#}
{% macro feature_definitions() -%}
    {%- set hashes = {"settings": local_md5(feature_settings())} -%}
    {%- set files = feature_macro_files() -%}
    {%- if execute -%}
        {%- for node in product_models() | sort(attribute="name")
            if node.fqn[1] in ("staging", "intermediate", "features") -%}
            {%- do hashes.update({node.name: local_md5(node.raw_code)}) -%}
        {%- endfor -%}
        {%- for name, macro in (context["clv"] | default({})).items() | sort
            if macro.macro is defined
            and macro.macro.original_file_path.split("/")[-1] in files
            and not name.startswith(("duckdb__", "spark__")) -%}
            {%- do hashes.update({name: local_md5(macro.macro.macro_sql)}) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(hashes) }}
{%- endmacro %}

{#- One md5 over all of them. -#}
{% macro feature_hash() -%}
    {{ return(local_md5(feature_definitions().items() | sort | map("join", ":") | join(";"))) }}
{%- endmacro %}

{% macro feature_macro_files() -%}
    {{ return(["arithmetic.sql", "attributes.sql", "constants.sql", "features.sql", "histories.sql", "identities.sql", "returns.sql", "windows.sql"]) }}
{%- endmacro %}

{#- dbt asks this before every materialization. A dated table whose hash went stale rebuilds itself, under plain
    `dbt run` too, and a change of columns never meets an old table. A table of record (full_refresh: false, such as the
    history of scores) is never rebuilt. -#}
{% macro should_full_refresh() -%}
    {%- set asked = config.get("full_refresh") if config.get("full_refresh") is not none else flags.FULL_REFRESH -%}
    {{ return(asked or (config.get("full_refresh") is not false and holds_stale_dates())) }}
{%- endmacro %}

{#- A stored date that was built under other definitions; its columns may be others, so the table starts anew. So may those
    of a table without any date, which says nothing of its definitions and costs nothing to make again. -#}
{% macro holds_stale_dates() -%}
    {%- if not execute or model.columns is not defined or "build_hash" not in model.columns -%}
        {{ return(false) }}
    {%- endif -%}
    {%- set stored = load_relation(this) -%}
    {%- if stored is none or config.get("materialized") != "incremental" -%} {{ return(false) }} {%- endif -%}
    {%- set stale -%}
        select
            count(*) as stored_rows,
            count(case when substr(build_hash, 1, 13) <> '{{ feature_hash()[:12] }}-' then 1 end) as stale_rows
        from {{ stored }}
    {%- endset -%}
    {%- set counted = run_query(stale).rows[0] -%}
    {{ return(counted[0] == 0 or counted[1] > 0) }}
{%- endmacro %}

{#- The table that lists a dated model's dates and the hash of each: as_of_dates, or what `meta.dates` names. -#}
{% macro dates_table() -%}
    {{ return(ref((config.get("meta") or {}).get("dates", "as_of_dates"))) }}
{%- endmacro %}

{#- The dates that this run must compute for {{ this }}: all of them, or those it does not hold under today's hash.
    Rendered as literals, since a list of constants prunes the as-of joins below it and a subquery does not. -#}
{% macro is_wanted(as_of) -%}
    {%- set dates = dates_table() -%}
    {%- if not execute or not is_incremental() -%} true
    {%- else -%}
        {%- set missing -%}
            select dates.as_of_date
            from {{ dates }} as dates
            left join
                (select distinct as_of_date, build_hash from {{ this }}) as stored
                on stored.as_of_date = dates.as_of_date
                and stored.build_hash = dates.build_hash
            where stored.as_of_date is null
            order by dates.as_of_date
        {%- endset -%}
        {%- set wanted = run_query(missing).columns[0].values() -%}
        {%- if wanted | length == 0 -%} false
        {%- else -%}
            {{ as_of }}
            in ({%- for date in wanted -%}date '{{ date }}'{{ ", " if not loop.last }} {%- endfor -%})
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{#- Whether a row is of the scoring date, the date as a constant: a view over many dates then works out that one alone, which
    it does not where the date comes by a join. -#}
{% macro on_scoring_date(as_of) -%}
    {%- set dates = ref("as_of_dates") -%}
    {%- if not execute or load_relation(dates) is none -%} true
    {%- else -%}
        {%- set found = run_query("select as_of_date from " ~ dates ~ " where is_scoring_date").columns[0].values() -%}
        {{ as_of ~ " = date '" ~ found[0] ~ "'" if found | length else "true" }}
    {%- endif -%}
{%- endmacro %}

{#- Drops dates that are no longer wanted (old scoring dates off the grid) from a dated table, after it was built. A view
    holds none. -#}
{% macro prune_dates() -%}
    {%- set dates = dates_table() -%}
    {%- if execute and config.get("materialized") != "view" and load_relation(this) is not none -%}
        {{ return(adapter.dispatch("prune_dates", "clv")(dates)) }}
    {%- endif -%}
{%- endmacro %}

{% macro duckdb__prune_dates(dates) -%}
    delete from {{ this }} where as_of_date not in (select as_of_date from {{ dates }})
{%- endmacro %}

{#- Parquet tables know no delete; a date is a partition. -#}
{% macro spark__prune_dates(dates) -%}
    {%- set unwanted -%}
        select distinct as_of_date from {{ this }} where as_of_date not in (select as_of_date from {{ dates }})
    {%- endset -%}
    {%- for date in run_query(unwanted).columns[0].values() -%}
        {%- do run_query("alter table " ~ this ~ " drop if exists partition (as_of_date = '" ~ date ~ "')") -%}
    {%- endfor -%}
{%- endmacro %}

{#- A date's hash: which definitions, then everything else that its rows were made from. -#}
{% macro build_hash(inputs) -%}
    cast('{{ feature_hash()[:12] }}-' || md5({{ inputs | join(" || '|' || ") }}) as string)
{%- endmacro %}
