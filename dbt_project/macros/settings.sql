{#- Every setting is read through this macro, which refuses a value of another kind, so that no crafted `--vars` reaches
    SQL as text. -#}
{% macro setting(name) -%}
    {%- set kind = setting_kinds()[name] -%}
    {%- set value = var(name) -%}
    {%- set text = value | string -%}
    {%- set valid = namespace(answer=false) -%}
    {%- if value is none -%}
    {%- elif kind == "integer" -%}
        {%- set valid.answer = modules.re.fullmatch("[0-9]{1,6}", text) is not none -%}
    {%- elif kind == "positive integer" -%}
        {%- set valid.answer = modules.re.fullmatch("[1-9][0-9]{0,5}", text) is not none -%}
    {%- elif kind == "share" -%}
        {%- set valid.answer = modules.re.fullmatch("0?[.][0-9]{0,8}[1-9][0-9]{0,8}", text) is not none -%}
    {%- elif kind == "number" -%}
        {%- set valid.answer = modules.re.fullmatch("[0-9]{1,6}([.][0-9]{1,9})?", text) is not none -%}
    {%- elif kind == "boolean" -%} {%- set valid.answer = value in (true, false) -%}
    {%- elif kind == "date" -%}
        {%- set valid.answer = modules.re.fullmatch("([0-9]{4}-[0-9]{2}-[0-9]{2})?", text) is not none -%}
    {%- elif kind == "currency" -%}
        {%- set valid.answer = modules.re.fullmatch("[A-Z]{3}", text) is not none -%}
    {%- elif kind == "name" -%}
        {%- set valid.answer = modules.re.fullmatch("[A-Za-z][A-Za-z0-9_.-]{0,99}", text) is not none -%}
    {%- elif kind == "schema" -%}
        {%- set valid.answer = modules.re.fullmatch("[A-Za-z][A-Za-z0-9_]{0,62}([.][A-Za-z][A-Za-z0-9_]{0,62})?", text) is not none -%}
    {%- elif kind == "time zone" -%}
        {%- set valid.answer = modules.re.fullmatch("[A-Za-z][A-Za-z0-9_+/-]{0,63}", text) is not none -%}
    {%- elif kind == "names" -%}
        {%- set valid.answer = value is sequence and value is not string and value is not mapping -%}
        {%- for item in (value if valid.answer else []) -%}
            {%- if modules.re.fullmatch("[a-z][a-z0-9_]{0,99}", item | string) is none -%}
                {%- set valid.answer = false -%}
            {%- endif -%}
        {%- endfor -%}
    {%- elif kind == "attributes" -%} {%- do check_attributes(value) -%} {%- set valid.answer = true -%}
    {%- endif -%}
    {%- if not valid.answer -%}
        {{ exceptions.raise_compiler_error(
            "Setting '" ~ name ~ "' must be of kind " ~ kind ~ ", not " ~ (value | tojson)
            ~ ". Correct it in dbt_project.yml or in --vars."
        ) }}
    {%- endif -%}
    {{ return(value) }}
{%- endmacro %}

{#- The kind of every setting; a setting that is not listed cannot be read. -#}
{% macro setting_kinds() -%}
    {{ return({
        "raw_schema": "schema",
        "as_of_date": "date",
        "horizon_days": "positive integer",
        "label_maturity_days": "integer",
        "first_training_day": "integer",
        "val_size": "share",
        "test_size": "share",
        "prune_scoring_days": "integer",
        "reporting_currency": "currency",
        "store_timezone": "time zone",
        "annual_discount_rate": "number",
        "feature_groups": "names",
        "customer_attributes": "attributes",
        "seasonality_period_days": "positive integer",
        "new_customer_days": "integer",
        "long_cycle_days": "integer",
        "long_cycle_cv": "number",
        "regular_cv": "number",
        "excluded_features": "names",
        "min_purchases_for_training": "integer",
        "min_history_days": "integer",
        "small_shop_customers": "integer",
        "use_ml_clv": "boolean",
        "fallback_to_simple": "boolean",
        "model_version": "name",
        "drivers_kept": "positive integer",
        "interval_coverage": "share",
        "confidence_floor": "number",
        "is_challenger": "boolean",
        "models_kept": "positive integer",
        "prediction_days_kept": "integer",
        "driver_days_kept": "integer",
        "grid_days_kept": "integer",
        "drift_psi_moderate": "number",
        "drift_psi_large": "number",
        "drift_share_change": "number",
        "drift_total_change": "number",
        "accuracy_bias": "number",
        "accuracy_coverage_gap": "number",
        "freshness_days": "integer",
        "volume_factor": "number",
        "quarantine_share": "number",
        "alike_share": "number",
        "rfm_high_score": "integer",
        "rfm_low_score": "integer",
        "value_tier_top_share": "number",
        "value_tier_high_share": "number",
        "value_tier_medium_share": "number"
    }) }}
{%- endmacro %}

{#- The settings that change what a feature means, as text for the hash. Dates and split sizes are not among them. -#}
{% macro feature_settings() -%}
    {%- set names = [
        "annual_discount_rate", "customer_attributes", "feature_groups", "horizon_days", "long_cycle_cv", "long_cycle_days",
        "new_customer_days", "regular_cv", "reporting_currency", "seasonality_period_days", "small_shop_customers",
        "store_timezone"
    ] -%}
    {%- set texts = [] -%}
    {%- for name in names -%}
        {%- set value = setting(name) -%}
        {%- if value is mapping -%} {%- set value = tojson(value, sort_keys=true) -%}
        {%- elif value is sequence and value is not string -%} {%- set value = value | sort | join(",") -%}
        {%- endif -%}
        {%- do texts.append(name ~ "=" ~ value) -%}
    {%- endfor -%}
    {{ return(texts | join(";")) }}
{%- endmacro %}
