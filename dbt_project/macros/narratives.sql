{#- Drivers and sentences in business language. A fact is a column: what it is called (`meta.label`) and what to say of it
    (`meta.phrase`) stand with its description, the words between with `customer_narratives`; clv_ml/serve/narrative.py
    renders the same for a single customer. -#}
{#- What the descriptions of facts say under a key of `meta`, by column: a `phrase` is {other: template, zero, one,
    missing, and: {another column: template}}. -#}
{% macro said_of_columns(key) -%}
    {%- set said = {} -%}
    {%- if execute -%}
        {%- for node in product_models() -%}
            {%- for name, column in node.columns.items() if column.config.meta.get(key) and not column.config.meta.get("driver") -%}
                {%- do said.update({name: column.config.meta[key]}) -%}
            {%- endfor -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(said) }}
{%- endmacro %}

{#- What a driver is called: its label, or its column's name in words. -#}
{% macro driver_label(column) -%}
    case
        {{ column }}
        {%- for name, label in said_of_columns("label").items() | sort %}
            when '{{ name }}' then '{{ label }}'
        {%- endfor %}
        else replace(replace({{ column }}, 'attribute_', ''), '_', ' ')
    end
{%- endmacro %}

{#- A driver as a phrase, which may go on with other columns of the relation; one without a template is called by its label. -#}
{% macro driver_phrase(column, value, relation) -%}
    case
        {{ column }}
        {%- for driver, phrase in said_of_columns("phrase").items() | sort %}
            when '{{ driver }}'
            then
                case
                    {%- if phrase.zero %}
                        when {{ value }} = 0 then {{ template_text(phrase.zero, value) }}
                    {%- endif %}
                    {%- if phrase.one %}
                        when {{ value }} = 1 then {{ template_text(phrase.one, value) }}
                    {%- endif %}
                    when {{ value }} is null
                    then {{ template_text(phrase.missing or phrase.other, value) }}
                    else {{ template_text(phrase.other, value) }}
                end
                {%- for other, template in phrase.get("and", {}).items() %}
                    || case
                        when {{ value }} is null or {{ value }} = 0
                        then ''
                        else coalesce({{ template_text(template, relation ~ "." ~ other) }}, '')
                    end
                {%- endfor %}
        {%- endfor %}
        else
            case
                when
                    {{ value }} = 0
                    and substr({{ column }}, 1, 10) = 'attribute_'
                    and position('_is_' in {{ column }}) > 0
                then replace({{ driver_label(column) }}, ' is ', ' is not ')
                else {{ driver_label(column) }}
            end
    end
{%- endmacro %}

{#- A template as SQL text: {value:.0f}, {value:.1f} and {value:.2f} are numbers, {value:share} a share, {value:exp} the
    number whose logarithm the value is, {value:money} an amount in the reporting currency. -#}
{% macro template_text(template, value) -%}
    {%- if not execute -%} {{ return("''") }} {%- endif -%}
    {%- set parts = [] -%}
    {%- for part in modules.re.split("(\\{value:[^}]*\\})", template) if part -%}
        {%- set decimals = modules.re.fullmatch("\\{value:[.]([0-9])f\\}", part) -%}
        {%- if decimals -%} {%- do parts.append(number_text(value, decimals.group(1))) -%}
        {%- elif part == "{value:share}" -%}
            {%- do parts.append(number_text(value ~ " * 100.0E0", 0) ~ " || ' %'") -%}
        {%- elif part == "{value:exp}" -%} {%- do parts.append(number_text("exp(" ~ value ~ ")", 1)) -%}
        {%- elif part == "{value:money}" -%}
            {%- do parts.append("'" ~ setting("reporting_currency") ~ " ' || " ~ amount_text(value)) -%}
        {%- else -%} {%- do parts.append("'" ~ part | replace("'", "''") ~ "'") -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(parts | join(" || ")) }}
{%- endmacro %}

{#- A number with so many decimals, as text. Rounded as a whole, since engines round a double to decimals differently. -#}
{% macro number_text(number, decimals) -%}
    {%- set power = "1" ~ "0" * (decimals | int) ~ ".0E0" -%}
    {{ return(
        "cast(cast(round((" ~ number ~ ") * " ~ power ~ ") / " ~ power ~ " as decimal(38, " ~ decimals ~ ")) as string)"
    ) }}
{%- endmacro %}

{#- Money as text: whole above a hundred, with cents below. -#}
{% macro amount_text(amount) -%}
    case when abs({{ amount }}) >= 100 then {{ grouped_digits(amount) }} else {{ number_text(amount, 2) }} end
{%- endmacro %}

{#- What a driver adds or takes, as text with its sign. -#}
{% macro signed_amount(amount) -%} {{ sign_shown(amount) }} || {{ amount_text(amount) }} {%- endmacro %}

{#- A plus sign where money adds; a minus sign comes with the digits. -#}
{% macro sign_shown(amount) -%} case when {{ amount }} >= 0 then '+' else '' end {%- endmacro %}
