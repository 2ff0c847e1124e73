-- Grain: customer_id. The customer's predicted value in words: how high among today's customers, and up
-- to three drivers each that raise it and hold it back most, in the reporting currency; first those on
-- whose side it came to lie.
{% set words = (config.get("meta") or {}).get("words", {}) %}

with
    customers as (select * from {{ ref("customer_clv") }}),

    drivers as (select * from {{ ref("customer_drivers") }}),

    segments as (select * from {{ ref("customer_segments") }}),

    -- those who never bought have no score, and a low value
    levels as (
        select
            customers.*,
            case
                when segments.value_score = 5
                then 'high'
                when segments.value_score >= 3
                then 'medium'
                else 'low'
            end as value_level
        from customers
        inner join segments on segments.customer_id = customers.customer_id
    ),

    -- a cent or more, or it is not worth a word
    ranked as (
        select
            drivers.customer_id,
            drivers.driver_column,
            drivers.driver_value,
            drivers.contribution,
            customers.interval_mean_days,
            customers.overdue_ratio,
            drivers.contribution > 0 as raises,
            row_number() over (
                partition by drivers.customer_id, drivers.contribution > 0 order by drivers.driver_rank
            ) as place
        from drivers
        inner join
            customers
            on customers.customer_id = drivers.customer_id
            and customers.as_of_date = drivers.as_of_date
            and customers.clv_model_version = drivers.model_version
        where abs(drivers.contribution) >= {{ smallest_contribution() }} and drivers.driver_column is not null
    ),

    phrases as (
        select
            customer_id,
            raises,
            place,
            {{ driver_phrase("driver_column", "driver_value", "ranked") }}
            || ' ('
            || {{ signed_amount("contribution") }}
            || ')' as phrase
        from ranked
        where place <= 3
    ),

    sides as (
        select
            customer_id,
            {%- for side, raises in [("up", "raises"), ("down", "not raises")] %}
                max(case when {{ raises }} and place = 1 then phrase end)
                || coalesce('; ' || max(case when {{ raises }} and place = 2 then phrase end), '')
                || coalesce(
                    '; ' || max(case when {{ raises }} and place = 3 then phrase end), ''
                ) as {{ side }}
                {{- "," if not loop.last }}
            {%- endfor %}
        from phrases
        group by customer_id
    )

select
    levels.customer_id,
    levels.as_of_date,
    cast(levels.value_level as string) as value_level,
    cast(
        case
            when levels.clv_method = 'no_purchase'
            then '{{ words.no_purchase }}'
            when levels.clv_method = 'returned'
            then {{ template_text(words.returned, "levels.clv_estimate") }}
            when levels.clv_predicted is null
            then {{ template_text(words.simple, "levels.clv_estimate") }}
            else
                case
                    when levels.value_level = 'high'
                    then '{{ words.high }}'
                    when levels.value_level = 'medium'
                    then '{{ words.medium }}'
                    else '{{ words.low }}'
                end
                || {{ template_text(words.amount, "levels.clv_predicted") }}
                || '.'
                || case
                    when levels.clv_predicted >= levels.driver_base
                    then
                        coalesce('{{ words.raised }}' || sides.up || '.', '')
                        || coalesce('{{ words.held_back }}' || sides.down || '.', '')
                    else
                        coalesce('{{ words.held_back }}' || sides.down || '.', '')
                        || coalesce('{{ words.raised }}' || sides.up || '.', '')
                end
        end as string
    ) as narrative
from levels
left join sides on sides.customer_id = levels.customer_id
