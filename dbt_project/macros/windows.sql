{#- The window rules: what a date may look at, and when its label is final. Every window of the project is half-open and stands here; no model writes its own comparison. -#}
{#- What was known before as_of: `known_at` is when the event had both happened and been recorded. -#}
{% macro known_before(known_at, as_of) -%} {{ known_at }} < {{ as_of }} {%- endmacro %}

{#- A state of knowledge that held at as_of. It begins strictly after known_from and lasts up to known_until. -#}
{% macro state_known_before(known_from, known_until, as_of) -%}
    ({{ known_from }} < {{ as_of }} and ({{ known_until }} is null or {{ known_until }} >= {{ as_of }}))
{%- endmacro %}

{#- The event lies in [as_of - days, as_of). -#}
{% macro in_lookback(happened_at, as_of, days) -%}
    ({{ happened_at }} >= {{ as_of }} - interval '{{ days }} days' and {{ happened_at }} < {{ as_of }})
{%- endmacro %}

{#- The same for a number of days that is a column, and `days_ago` days earlier: [as_of - days_ago - span, as_of - days_ago). -#}
{% macro in_span(happened_at, as_of, span_days, days_ago=0) -%}
    (
        {{ seconds_between(happened_at, as_of) }} > {{ days_ago }} * 86400
        and {{ seconds_between(happened_at, as_of) }} <= ({{ days_ago }} + {{ span_days }}) * 86400
    )
{%- endmacro %}

{#- The event lies in the horizon's window one year (365 days) earlier, as far as it is past. -#}
{% macro in_horizon_last_year(happened_at, as_of) -%}
    (
        {{ happened_at }} >= {{ as_of }} - interval '365 days'
        and {{ happened_at }}
        < {{ as_of }} + interval '{{ setting("horizon_days") }} days' - interval '365 days'
        and {{ happened_at }} < {{ as_of }}
    )
{%- endmacro %}

{#- The UTC instant at which the horizon of a date ends; `days` is horizon_days if not given. -#}
{% macro horizon_ends_at(as_of, days=none) -%}
    cast({{ as_of }} + interval '{{ days or setting("horizon_days") }} days' as timestamp)
{%- endmacro %}

{#- The UTC instant from which the label of a date is final. -#}
{% macro label_known_at(as_of, days=none) -%}
    cast(
        {{ as_of }}
        + interval '{{ days or setting("horizon_days") }} days'
        + interval '{{ setting("label_maturity_days") }} days' as timestamp
    )
{%- endmacro %}

{#- Whether a row of the CTE `rates` is the rate of a currency that holds at an instant. -#}
{% macro rate_holds(currency, instant) -%}
    rates.currency = {{ currency }}
    and rates.valid_from <= {{ instant }}
    and (rates.valid_until is null or rates.valid_until > {{ instant }})
{%- endmacro %}
