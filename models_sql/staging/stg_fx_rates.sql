-- Grain: one row per currency, currency that it is quoted in, and instant from which their rate holds. A
-- rate is delivered in one direction and serves in both.
with
    delivered as (select * from {{ source("raw", "fx_rates") }}),

    named as (
        select
            cast(currency as string) as currency,
            cast(coalesce(quote_currency, '{{ setting("reporting_currency") }}') as string) as quote_currency,
            cast(valid_from as timestamp) as valid_from,
            cast(rate_to_reporting as decimal(18, 8)) as rate
        from delivered
    ),

    directions as (
        select currency, quote_currency, valid_from, rate, false as is_turned
        from named
        where currency <> quote_currency
        union all
        select quote_currency as currency, currency as quote_currency, valid_from, rate, true as is_turned
        from named
        where currency <> quote_currency
    ),

    ranked as (
        select
            directions.*,
            row_number() over (
                partition by currency, quote_currency, valid_from
                order by is_turned nulls last, rate nulls last
            ) as place
        from directions
    )

select
    currency,
    quote_currency,
    valid_from,
    case when not is_turned then rate end as delivered_rate,
    case when is_turned then {{ ratio("1", "rate") }} else cast(rate as double) end as rate_to_quote
from ranked
where place = 1
