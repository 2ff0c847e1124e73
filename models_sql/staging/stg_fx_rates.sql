-- Grain: one row per currency and the instant its rate begins. Adds the instant it ends.
with
    delivered as (select * from {{ source("raw", "fx_rates") }}),

    latest as (
        select
            currency,
            valid_from,
            rate_to_reporting,
            row_number() over (partition by currency, valid_from order by rate_to_reporting) as version_number
        from delivered
    )

select
    cast(currency as string) as currency,
    cast(valid_from as timestamp) as valid_from,
    cast(lead(valid_from) over (partition by currency order by valid_from) as timestamp) as valid_until,
    cast(rate_to_reporting as decimal(18, 8)) as rate_to_reporting
from latest
where version_number = 1
