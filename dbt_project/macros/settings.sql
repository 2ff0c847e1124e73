{#- Every setting is read through this macro, which refuses a value that its rule does not allow. So no crafted `--vars`
    reaches SQL as text. The rules stand in dbt_project.yml; `clv` asks the macros `setting_fault` and `allowed_values` too,
    see clv_ml/settings.py. -#}
{% macro setting(name) -%}
    {%- set rule = setting_rules()[name] -%}
    {%- set value = var(name, rule.default) -%}
    {#- a unit test says which settings it is about; the others are the defaults, whatever the shop's are -#}
    {%- if model is defined and model.resource_type == "unit_test" -%}
        {%- set value = ((model.overrides or {}).vars or {}).get(name, rule.default) -%}
    {%- endif -%}
    {%- set fault = setting_fault(name, value, rule.allowed, run_started_at) | trim -%}
    {%- if fault -%}
        {%- set place = "--vars" if name in vars_given() else "dbt_project.yml" -%}
        {{ exceptions.raise_compiler_error(fault ~ " It was given in " ~ place ~ ".") }}
    {%- endif -%}
    {{ return(value) }}
{%- endmacro %}

{#- Refuses a wrong value before anything is built, also of a setting that only a later step reads, and a challenger for
    readers of the model in use. -#}
{% macro check_settings() -%}
    {#- a project with models of its own has vars of its own -#}
    {%- set of_others = graph.get("nodes", {}).values() | rejectattr("package_name", "equalto", "clv") | list -%}
    {%- for name in vars_given() if name not in setting_rules() and not of_others -%}
        {{ exceptions.raise_compiler_error(
            "Unknown setting '" ~ name ~ "' in --vars. Known ones are " ~ setting_rules() | sort | join(", ") ~ "."
        ) }}
    {%- endfor -%}
    {%- for name in setting_rules() -%} {%- do setting(name) -%} {%- endfor -%}
    {%- do channel_levels() -%}
    {%- for node in product_models() if execute and setting("is_challenger") and node.unique_id in selected_resources -%}
        {%- if "challenger" not in node.tags -%}
            {{ exceptions.raise_compiler_error(
                "is_challenger scores a version beside the model in use, and " ~ node.name ~ " would be made of it."
                ~ " Add --select tag:challenger, or use clv models diff."
            ) }}
        {%- endif -%}
    {%- endfor -%}
{%- endmacro %}

{#- The rule of every setting by its name; a setting that has none cannot be read. -#}
{% macro setting_rules() -%}
    {%- if "setting_rules" in vars_given() -%}
        {{ exceptions.raise_compiler_error("setting_rules is no setting. Take it out of --vars.") }}
    {%- endif -%}
    {%- set rules = {} -%}
    {%- for theme in var("setting_rules").values() -%} {%- do rules.update(theme) -%} {%- endfor -%}
    {{ return(rules) }}
{%- endmacro %}

{#- What `--vars` holds. -#}
{% macro vars_given() -%} {{ return(invocation_args_dict.get("vars") or {}) }} {%- endmacro %}

{#- What is wrong with a value and what is allowed, as sentences; empty where nothing is. -#}
{% macro setting_fault(name, value, allowed, now) -%}
    {%- if allowed.type == "attributes" -%} {{ attributes_fault(value) }}
    {%- elif not is_allowed(value, allowed, now) -%}
        {{ "Setting '" ~ name ~ "' is " ~ shown_value(value) ~ ". It must be " ~ allowed_values(allowed) ~ "." }}
    {%- endif -%}
{%- endmacro %}

{#- A value as a message shows it: a text in quotes, and what is long cut off. -#}
{% macro shown_value(value) -%}
    {{ ("%r" | format(value) if value is string else value | string) | truncate(80) }}
{%- endmacro %}

{#- "yes" where the value is of the type and within the bounds, else empty. -#}
{% macro is_allowed(value, allowed, now) -%}
    {%- if allowed.type == "boolean" -%} {{ "yes" if value is boolean }}
    {%- elif allowed.type == "integer" -%} {{ "yes" if value is integer and is_within(value, allowed) }}
    {%- elif allowed.type == "number" -%}
        {{ "yes" if (value == "" and allowed.or_empty)
            or (value is number and value is not boolean and is_within(value, allowed)) }}
    {%- elif allowed.type == "date" -%} {{ "yes" if value == "" or is_known_date(value | string, now) }}
    {%- elif allowed.type == "text" -%} {{ "yes" if is_word(value, allowed) }}
    {%- elif allowed.type == "timezone" -%}
        {{ "yes" if value is string and (value in modules.pytz.all_timezones_set or (value == "" and allowed.or_empty)) }}
    {%- elif value is not sequence or value is string or value is mapping -%}
    {%- elif allowed.type == "days" -%}
        {%- set counts = [] -%}
        {%- for item in value if item is integer and item not in counts and is_within(item, allowed) -%}
            {%- do counts.append(item) -%}
        {%- endfor -%}
        {{ "yes" if counts | length == value | length }}
    {%- else -%}
        {%- set words = [] -%}
        {%- for item in value if is_word(item, allowed) -%} {%- do words.append(item) -%}
        {%- endfor -%}
        {{ "yes" if words | length == value | length }}
    {%- endif -%}
{%- endmacro %}

{#- "yes" where a text is one of the choices, or matches the pattern, else empty. -#}
{% macro is_word(value, allowed) -%}
    {%- if value is string -%}
        {{ "yes" if value in allowed.get("choices", []) or modules.re.fullmatch(allowed.get("pattern", "(?!)"), value) }}
    {%- endif -%}
{%- endmacro %}

{#- "yes" where a number is within its bounds and has at most nine decimals, else empty. -#}
{% macro is_within(value, allowed) -%}
    {%- if "above" in allowed -%} {%- set is_inside = allowed.above < value < allowed.below -%}
    {%- else -%} {%- set is_inside = allowed.at_least <= value <= allowed.at_most -%}
    {%- endif -%}
    {{ "yes" if is_inside and value == value | round(9) }}
{%- endmacro %}

{#- "yes" where the text is a day of the calendar and no later than tomorrow, since today's events are known by then. -#}
{% macro is_known_date(text, now) -%}
    {%- set tomorrow = (now + modules.datetime.timedelta(days=1)).strftime("%Y-%m-%d") -%}
    {%- if text <= tomorrow and modules.re.fullmatch("[12][0-9]{3}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])", text) -%}
        {%- set year, month, day = text[:4] | int, text[5:7] | int, text[8:] | int -%}
        {%- set next_month = modules.datetime.date(year + month // 12, month % 12 + 1, 1) -%}
        {{ "yes" if day <= (next_month - modules.datetime.timedelta(days=1)).day }}
    {%- endif -%}
{%- endmacro %}

{#- What a setting may be, in words. -#}
{% macro allowed_values(allowed) -%}
    {%- if allowed.type == "boolean" -%} {{ "true or false" }}
    {%- elif allowed.type == "date" -%} {{ "a date such as 2024-12-31, no later than tomorrow, or empty" }}
    {%- elif allowed.type == "text" -%} {{ allowed.words }}
    {%- elif allowed.type == "timezone" -%}
        {{ "the name of a time zone, such as Europe/London" ~ (", or nothing" if allowed.or_empty else "") }}
    {%- elif allowed.type == "list" -%}
        {{ "a list of " ~ (allowed.words or "some of these: " ~ allowed.choices | join(", ")) }}
    {%- elif allowed.type == "days" -%}
        {{ "a list of different whole numbers from " ~ allowed.at_least ~ " to " ~ allowed.at_most }}
    {%- elif allowed.type == "attributes" -%} {{ "each attribute with `number` or a list of levels" }}
    {%- else -%}
        {%- set kind = "a whole number " if allowed.type == "integer" else "a number with at most nine decimals, " -%}
        {%- set closed = "from " ~ allowed.at_least ~ " to " ~ allowed.at_most -%}
        {%- set bounds = "above " ~ allowed.above ~ " and below " ~ allowed.below if "above" in allowed else closed -%}
        {{ kind ~ bounds ~ (", or nothing" if allowed.or_empty else "") }}
    {%- endif -%}
{%- endmacro %}

{#- The settings that change what a feature means, as text for the hash. Dates and split sizes are not among them. -#}
{% macro feature_settings() -%}
    {%- set texts = [] -%}
    {%- for name, rule in setting_rules() | dictsort if rule.changes_features -%}
        {%- set value = setting(name) -%}
        {%- if value is mapping -%} {%- set value = tojson(value, sort_keys=true) -%}
        {%- elif value is sequence and value is not string -%} {%- set value = value | sort | join(",") -%}
        {%- endif -%}
        {%- do texts.append(name ~ "=" ~ value) -%}
    {%- endfor -%}
    {{ return(texts | join(";")) }}
{%- endmacro %}
