{#- Money of other currencies, and rates that do not lead to the reporting currency. -#}
{#- Fails the model where money has rates, and none on any day that leads into the reporting currency: they were loaded
    under another one. Money without any rate, or none on its day, is left aside instead, and the run says so. -#}
{% macro refuse_unrated_money() -%}
    {%- set reporting = setting("reporting_currency") -%}
    {%- set of_others -%}
        select currency, min(quote_currency) as quote_currency
        from {{ ref("stg_fx_rates") }}
        where currency <> '{{ reporting }}' and quote_currency <> '{{ reporting }}'
        group by currency
    {%- endset -%}
    {%- set unrated -%}
        select events.currency, cast(min(events.occurred_at) as date) as first_day, count(*), min(others.quote_currency)
        from {{ this }} as events
        inner join ({{ of_others }}) as others on others.currency = events.currency
        left join
            (select distinct currency from {{ ref("stg_reporting_rates") }}) as rated on rated.currency = events.currency
        where events.source_amount is not null and rated.currency is null
        group by events.currency
        order by events.currency
        limit 1
    {%- endset -%}
    {%- if execute and run_query(of_others).rows | length > 0 -%}
        {%- for currency, first_day, events, quote in run_query(unrated).rows -%}
            {{ exceptions.raise_compiler_error(
                "Money in " ~ currency ~ " cannot be converted to " ~ reporting ~ ": " ~ events
                ~ (" event" if events == 1 else " events, the first") ~ " on " ~ first_day
                ~ ". Rates tell " ~ currency ~ " in " ~ quote ~ ", and neither of the two in " ~ reporting
                ~ ". Load rates of " ~ currency ~ " or " ~ quote ~ " with quote_currency " ~ reporting ~ " that hold by then"
                ~ " (clv ingest RATES --preset fx_rates), or report in " ~ quote ~ " (setting reporting_currency)."
            ) }}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}
