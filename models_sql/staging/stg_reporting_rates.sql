-- Grain: one row per currency and instant from which its rate into the reporting currency holds. Adds the
-- instant it ends. One way counts until a better one begins: a direct rate before all crossed ones, of those
-- the alphabetically first.
with
    rates as (select * from {{ ref("stg_crossed_rates") }}),

    ways as (
        select
            currency,
            over_currency,
            case when over_currency = '{{ setting("reporting_currency") }}' then 0 else 1 end as detour,
            min(valid_from) as begins_at
        from rates
        group by currency, over_currency
    ),

    ends as (
        select
            currency,
            over_currency,
            min(begins_at) over (
                partition by currency
                order by detour nulls last, over_currency nulls last
                rows between unbounded preceding and 1 preceding
            ) as better_at
        from ways
    ),

    standing as (
        select rates.currency, rates.valid_from, rates.rate_to_reporting
        from rates
        inner join ends on ends.currency = rates.currency and ends.over_currency = rates.over_currency
        where ends.better_at is null or rates.valid_from < ends.better_at
    )

select
    currency,
    valid_from,
    cast(lead(valid_from) over (partition by currency order by valid_from) as timestamp) as valid_until,
    rate_to_reporting
from standing
