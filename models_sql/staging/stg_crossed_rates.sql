-- Grain: one row per currency, currency that its rate leads over, and instant from which that way gives this
-- rate into the reporting currency. The direct way leads over the reporting currency itself. What holds of
-- either side on the day counts; `told_at` is the older of the two.
{%- set reporting = setting("reporting_currency") %}
{%- set so_far = "partition by currency, over_currency order by valid_from rows between unbounded preceding and current row" %}
with
    rates as (select * from {{ ref("stg_fx_rates") }}),

    near as (
        select currency, quote_currency as over_currency, valid_from, delivered_rate, rate_to_quote
        from rates
        where currency <> '{{ reporting }}'
    ),

    -- the reporting currency itself is worth 1 on any day
    far as (
        select currency as over_currency, valid_from, rate_to_quote as rate_onwards
        from rates
        where quote_currency = '{{ reporting }}'
        union all
        select '{{ reporting }}' as over_currency, min(valid_from) as valid_from, 1.0e0 as rate_onwards
        from rates
    ),

    pairs as (select distinct currency, over_currency from near),

    sides as (
        select
            currency,
            over_currency,
            valid_from,
            delivered_rate,
            rate_to_quote,
            cast(null as double) as rate_onwards
        from near
        union all
        select
            pairs.currency,
            pairs.over_currency,
            far.valid_from,
            cast(null as decimal(18, 8)) as delivered_rate,
            cast(null as double) as rate_to_quote,
            far.rate_onwards
        from pairs
        inner join far on far.over_currency = pairs.over_currency
    ),

    changes as (
        select
            currency,
            over_currency,
            valid_from,
            max(delivered_rate) as delivered_rate,
            max(rate_to_quote) as rate_to_quote,
            max(rate_onwards) as rate_onwards
        from sides
        group by currency, over_currency, valid_from
    ),

    numbered as (
        select
            changes.*,
            count(rate_to_quote) over ({{ so_far }}) as near_number,
            count(rate_onwards) over ({{ so_far }}) as far_number
        from changes
    ),

    held as (
        select
            currency,
            over_currency,
            valid_from,
            max(delivered_rate) over (partition by currency, over_currency, near_number) as delivered_rate,
            max(rate_to_quote) over (partition by currency, over_currency, near_number)
            * max(rate_onwards) over (partition by currency, over_currency, far_number) as crossed_rate,
            min(valid_from) over (partition by currency, over_currency, near_number) as near_told_at,
            min(valid_from) over (partition by currency, over_currency, far_number) as far_told_at
        from numbered
    ),

    rounded as (
        select
            currency,
            over_currency,
            valid_from,
            case
                when over_currency = '{{ reporting }}' and delivered_rate is not null
                then delivered_rate
                else {{ exchange_rate("crossed_rate") }}
            end as rate_to_reporting,
            case
                when over_currency = '{{ reporting }}' then near_told_at else least(near_told_at, far_told_at)
            end as told_at
        from held
    )

select currency, over_currency, valid_from, told_at, rate_to_reporting
from rounded
where rate_to_reporting > 0
