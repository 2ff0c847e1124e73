{#- Months a customer has been known, at least one: the denominator of every monthly rate. -#}
{% macro tenure_months(tenure_days) -%}
    greatest(1.0e0, {{ tenure_days }} / {{ days_per_month() }})
{%- endmacro %}

{#- Months in the horizon. -#}
{% macro horizon_months() -%}({{ setting("horizon_days") }} / {{ days_per_month() }}) {%- endmacro %}

{#- Money weighted by exp(-age / days), the weight rounded to a decimal so that sums are exact on every engine. -#}
{% macro decayed(amount, happened_at, as_of, days) -%}
    {{ amount }}
    * cast(round(exp(-{{ days_between(happened_at, as_of) }} / {{ days }}.0e0), 6) as decimal(7, 6))
{%- endmacro %}

{#- A flag as 0 or 1, NULL where the condition is: one of the columns that stand for `behavior_type`. -#}
{% macro one_hot(column, value) -%}
    cast(
        case
            when {{ column }} = {{ text_literal(value) }} then 1 when {{ column }} is not null then 0
        end as int
    )
{%- endmacro %}

{#- What one unit of money that comes in after so many days is worth today; by default, in the middle of the horizon. -#}
{% macro discount_factor(days=none) -%}
    {%- set days = setting("horizon_days") / 2 if days is none else days -%}
    round(power(1.0e0 + {{ setting("annual_discount_rate") }}, - ({{ days }}) / 365.0e0), 9)
{%- endmacro %}

{#- An amount in what it was worth on a date; the weight is a decimal so that sums are exact on every engine. -#}
{% macro present_value(amount, moved_at, as_of) -%}
    {{ amount }}
    {%- if setting("annual_discount_rate") > 0 %}
        * cast({{ discount_factor(days_between(as_of, moved_at)) }} as decimal(10, 9))
    {%- endif %}
{%- endmacro %}

{#- Money of so many days, scaled to the horizon, over the anchor before the level's correction: of the columns `anchor` and
    `correction`. -#}
{% macro pace_to_anchor(money, days) -%}
    cast({{ money }} as double) * ({{ setting("horizon_days") }} / {{ days }}.0e0) / anchor * correction
{%- endmacro %}

{#- A rounded whole number of cents (or squared cents) for exact sums of what is not whole. -#}
{% macro whole(number) -%} {{ wide("round(" ~ number ~ ")") }} {%- endmacro %}

{#- What is fitted by maximum likelihood on each grid date; see the column descriptions of `fitted_dates`. -#}
{% macro fitted_names() -%}
    {{ return([
        "bgnbd_r", "bgnbd_alpha", "bgnbd_a", "bgnbd_b",
        "paretonbd_r", "paretonbd_alpha", "paretonbd_s", "paretonbd_beta",
        "gammagamma_p", "gammagamma_q", "gammagamma_gamma",
        "renewal_share", "renewal_log_gap", "renewal_between", "renewal_within", "renewal_other_log_gap",
        "renewal_other_between", "renewal_a", "renewal_b"
    ]) }}
{%- endmacro %}

{#- Logarithm of how likely a kind of customer is to have such gaps: of the columns `gaps`, `log_gap` and `squares`. -#}
{% macro gap_likelihood(mean, between, within) -%}
    (
        -0.5e0 * (
            (gaps - 1.0e0) * round(ln({{ within }}), 9)
            + {{ ratio("squares", within) }}
            + round(ln({{ within }} + gaps * {{ between }}), 9)
            + {{ ratio(
                "gaps * (log_gap - " ~ mean ~ ") * (log_gap - " ~ mean ~ ")", within ~ " + gaps * " ~ between
            ) }}
        )
    )
{%- endmacro %}

{#- Columns as texts for a hash: whole billionths, so that every engine writes the same digits. -#}
{% macro hashed_numbers(relation, names) -%}
    {%- set texts = [] -%}
    {%- for name in names -%}
        {%- do texts.append(
            "coalesce(cast(cast(round(" ~ relation ~ "." ~ name ~ " * 1000000000.0E0) as decimal(38, 0)) as string), '-')"
        ) -%}
    {%- endfor -%}
    {{ return(texts) }}
{%- endmacro %}

{#- Every day count that value is told for, each once, the shortest first: horizon_days and those of the setting horizons. -#}
{% macro all_horizons() -%}
    {{ return((setting("horizons") + [setting("horizon_days")]) | unique | sort) }}
{%- endmacro %}

{#- Logarithm of the odds of a chance. -#}
{% macro log_odds(chance) -%}
    round(
        ln(
            greatest({{ smallest_chance() }}, {{ chance }})
            / greatest({{ smallest_chance() }}, 1.0e0 - {{ chance }})
        ),
        9
    )
{%- endmacro %}

{#- A logarithm no further from 0 than growth is believed. -#}
{% macro within_growth(logarithm) -%}
    greatest(-{{ largest_log_growth() }}, least({{ largest_log_growth() }}, {{ logarithm }}))
{%- endmacro %}
