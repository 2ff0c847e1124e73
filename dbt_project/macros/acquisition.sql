{#- What winning customers costs and brings. -#}
{#- The declared levels of the attribute that says the channel; none where the setting names no attribute. -#}
{% macro channel_levels() -%}
    {%- set attribute = setting("channel_attribute") -%}
    {%- set levels = setting("customer_attributes").get(attribute, []) -%}
    {%- if attribute and (not levels or levels is string) -%}
        {{ exceptions.raise_compiler_error(
            "Setting 'channel_attribute' is '" ~ attribute ~ "', which customer_attributes does not declare with levels."
            ~ " Declare it, as in {" ~ attribute ~ ": [organic, paid search]}, or leave channel_attribute empty."
        ) }}
    {%- endif -%}
    {{ return(levels) }}
{%- endmacro %}

{#- The dimension of cohorts that is the channel. -#}
{% macro channel_dimension() -%} {{ return(setting("channel_attribute") or "all") }} {%- endmacro %}

{#- The group of a channel that costs name: as attribute_segments has it, or `all` where the setting names no attribute. -#}
{% macro channel_group(channel) -%}
    {%- if setting("channel_attribute") -%} {{ attribute_segment(channel, channel_levels()) }}
    {%- else -%} 'all'
    {%- endif -%}
{%- endmacro %}

{#- The margin that is left of money, as double; NULL where the setting gross_margin says nothing. -#}
{% macro margin_of(money) -%}
    {%- if setting("gross_margin") == "" -%} cast(null as double)
    {%- else -%}({{ setting("gross_margin") }}e0 * {{ money }})
    {%- endif -%}
{%- endmacro %}
