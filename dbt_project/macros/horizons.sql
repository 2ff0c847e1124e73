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

{#- Ordinary days up to a horizon, each piece weighted by what its money is worth today. -#}
{% macro days_worth(days) -%}
    (
        {%- for piece in horizon_pieces() if piece.to_days <= days %}
            {{ piece.to_days - piece.from_days }}.0e0
            * {{ discount_factor((piece.from_days + piece.to_days) / 2) }}
            {{- " + " if piece.to_days < days }}
        {%- endfor %}
    )
{%- endmacro %}

{#- Money that comes evenly within so many days, against what comes so within horizon_days, in what both are worth today. -#}
{% macro days_share(days) -%}
    ({{ days_worth(days) }} / {{ days_worth(setting("horizon_days")) }})
{%- endmacro %}
