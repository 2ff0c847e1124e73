-- Grain: one row per currency and instant from which its rate into the reporting currency holds. Adds the
-- instant it ends. Of the ways that nothing newer has overtaken the direct one counts, else the
-- alphabetically first.
with
    rates as (select * from {{ ref("stg_crossed_rates") }}),

    ways as (select distinct currency, over_currency from rates),

    instants as (select distinct currency, valid_from from rates),

    numbered as (
        select
            ways.currency,
            ways.over_currency,
            instants.valid_from,
            rates.told_at,
            rates.rate_to_reporting,
            count(rates.rate_to_reporting) over (
                partition by ways.currency, ways.over_currency
                order by instants.valid_from
                rows between unbounded preceding and current row
            ) as state_number
        from ways
        inner join instants on instants.currency = ways.currency
        left join
            rates
            on rates.currency = ways.currency
            and rates.over_currency = ways.over_currency
            and rates.valid_from = instants.valid_from
    ),

    held as (
        select
            currency,
            over_currency,
            valid_from,
            max(told_at) over (partition by currency, over_currency, state_number) as told_at,
            max(rate_to_reporting) over (
                partition by currency, over_currency, state_number
            ) as rate_to_reporting
        from numbered
        where state_number > 0
    ),

    compared as (
        select held.*, max(told_at) over (partition by currency, valid_from) as newest_told_at from held
    ),

    ranked as (
        select
            currency,
            valid_from,
            rate_to_reporting,
            row_number() over (
                partition by currency, valid_from
                order by
                    case
                        when over_currency = '{{ setting("reporting_currency") }}' then 0 else 1
                    end nulls last,
                    over_currency nulls last
            ) as place
        from compared
        where told_at >= newest_told_at - interval '{{ days_until_overtaken() }} days'
    )

select
    currency,
    valid_from,
    cast(lead(valid_from) over (partition by currency order by valid_from) as timestamp) as valid_until,
    rate_to_reporting
from ranked
where place = 1
