{#- The columns that the setting horizons declares, as a dict by name: what a contract says of each, and its days. -#}
{% macro horizon_columns(says="") -%}
    {%- set columns = {} -%}
    {%- for days in setting("horizons") | sort -%}
        {%- set name = "clv_" ~ days ~ "d" -%}
        {%- do columns.update({name: {
            "name": name,
            "days": days,
            "data_type": "decimal(18,2)",
            "description": says | replace("{days}", days),
            "constraints": [],
            "config": {"meta": {"unit": "reporting currency"}}
        }}) -%}
    {%- endfor -%}
    {{ return(columns) }}
{%- endmacro %}

{#- The horizons as pieces that follow each other: `from_days` is the next shorter horizon, `to_days` the horizon. -#}
{% macro horizon_pieces() -%}
    {%- set pieces, before = [], [0] -%}
    {%- for days in all_horizons() -%}
        {%- do pieces.append({"from_days": before[-1], "to_days": days}) -%} {%- do before.append(days) -%}
    {%- endfor -%}
    {{ return(pieces) }}
{%- endmacro %}
