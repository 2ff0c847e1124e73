{#- Seconds from the first instant to the second, a whole number. -#}
{% macro seconds_between(earlier, later) -%}
    ({{ epoch_seconds(later) }} - {{ epoch_seconds(earlier) }})
{%- endmacro %}

{#- Whole days from the first instant to the second, rounded down. -#}
{% macro days_between(earlier, later) -%}
    cast(floor({{ seconds_between(earlier, later) }} / 86400.0e0) as int)
{%- endmacro %}

{#- a / b as double, NULL where b is zero or either is NULL. -#}
{% macro ratio(numerator, denominator) -%}
    (cast({{ numerator }} as double) / nullif(cast({{ denominator }} as double), 0.0e0))
{%- endmacro %}

{#- Sample standard deviation from exact sums, in the unit of the summed numbers; NULL with fewer than two. -#}
{% macro sample_std(count, total, total_of_squares) -%}
    case
        when {{ count }} >= 2
        then
            sqrt(
                cast(
                    {{ wide(count) }} * {{ wide(total_of_squares) }}
                    - {{ wide(total) }} * {{ wide(total) }} as double
                )
                / cast({{ wide(count) }} * ({{ wide(count) }} - 1) as double)
            )
    end
{%- endmacro %}

{#- Money in the reporting currency: two decimals. -#}
{% macro money(amount) -%} {{ return(adapter.dispatch("money", "clv")(amount)) }} {%- endmacro %}

{% macro default__money(amount) -%} cast(round({{ amount }}, 2) as decimal(18, 2)) {%- endmacro %}

{#- A rate of exchange from a double: eight decimals, NULL where a rate has no room for it. -#}
{% macro exchange_rate(number) -%}
    try_cast(round(({{ number }}) * 100000000.0e0) / 100000000.0e0 as decimal(18, 8))
{%- endmacro %}

{#- An angle's sine or cosine: position `number` on a circle of `period`, NULL where the number is. -#}
{% macro on_circle(function, number, period) -%}
    {{ function }} (2.0e0 * 3.141592653589793e0 * cast({{ number }} as double) / {{ period }}.0e0)
{%- endmacro %}

{#- How many standard deviations to either side hold the share: Tukey's lambda approximation of the normal quantile
    (within 0.02 for shares between 0.5 and 0.98). -#}
{% macro normal_quantile(share) -%}
    (
        round(
            (power((1.0e0 + {{ share }}) / 2.0e0, 0.135e0) - power((1.0e0 - {{ share }}) / 2.0e0, 0.135e0))
            / 0.1975e0,
            9
        )
    )
{%- endmacro %}
