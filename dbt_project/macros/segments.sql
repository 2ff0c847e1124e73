{#- Groups of customers. -#}
{#- The group that a declared attribute puts a customer in, of the column in hand: the level as declared, else `other`, or the
    fifth of a number, as `fifth`. NULL where it is not known. -#}
{% macro attribute_segment(column, kind) -%}
    {%- if kind == "number" -%} cast(1 + {{ fifth(column) }} as string)
    {%- else -%}
        case
            {% for level in kind %} when {{ column }} = {{ text_literal(level) }} then {{ column }}
            {% endfor %}
            when {{ column }} is not null
            then 'other'
        end
    {%- endif -%}
{%- endmacro %}

{#- The fifth of the known numbers that a column's is in, from 0; equal ones share the lowest of their places. -#}
{% macro fifth(column) -%}
    case
        when {{ column }} is not null
        then
            cast(
                floor(
                    {{ ratio(
                        "5 * (rank() over (order by " ~ column ~ " nulls last) - 1)", "count(" ~ column ~ ") over ()"
                    ) }}
                ) as int
            )
    end
{%- endmacro %}
