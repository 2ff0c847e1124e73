{#- Lists of customers to act on: the reason in words, and who is left alone to measure by. Of columns of `action_facts`. -#}
{#- How many orders, how long ago the last one was, and how far apart they usually are. -#}
{% macro silence_words() -%}
    case
        when total_purchases = 1
        then 'one order, '
        else {{ template_text("{value:.0f} orders, the last one ", "total_purchases") }}
    end
    || {{ template_text("{value:.0f}", "days_since_last_purchase") }}
    || case when days_since_last_purchase = 1 then ' day ago' else ' days ago' end
    || case
        when interval_mean_days > 0
        then
            {{ template_text(", usually one every {value:.0f} days", "greatest(1.0e0, interval_mean_days)") }}
        else ''
    end
{%- endmacro %}

{#- How many of a hundred such customers order again; nothing where that is not known. -#}
{% macro chance_words() -%}
    coalesce(
        {{ template_text("; {value:.0f} of 100 such customers order again within ", "100.0e0 * order_probability") }}
        || {{ template_text("{value:.0f} days", "horizon_days") }},
        ''
    )
{%- endmacro %}

{#- How many of a hundred it was on the earlier date, where that was clearly more. -#}
{% macro earlier_chance_words() -%}
    case
        when earlier_order_probability - order_probability >= {{ large_fall_of_chance() }}
        then
            {{ template_text(", {value:.0f} on ", "100.0e0 * earlier_order_probability") }}
            || cast(earlier_as_of_date as string)
        else ''
    end
{%- endmacro %}

{#- The chance of an order below which hardly any such customer comes back: clv_high is 0 there. -#}
{% macro hardly_ever() -%} {{ ((1 - setting("interval_coverage")) / 2) | round(9) }}e0 {%- endmacro %}

{#- Whether a customer is in the control group of a list: by a hash, the same on every date and engine. -#}
{% macro is_control(customer_id, list) -%}
    ({{ md5_number(customer_id ~ " || ' ' || " ~ list) }} % 100 < {{ control_share_percent() }})
{%- endmacro %}
