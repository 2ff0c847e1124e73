-- Grain: customer_id x as_of_date x model_version x build_hash: the three strongest drivers of a
-- prediction side by side, and as one text.
with
    drivers as (select * from {{ ref("customer_drivers") }} where driver_rank <= 3),

    wide_drivers as (
        select
            customer_id,
            as_of_date,
            model_version,
            build_hash,
            max(case when driver_rank = 1 then driver_name end) as driver_1_name,
            max(case when driver_rank = 1 then driver_value end) as driver_1_value,
            max(case when driver_rank = 1 then contribution end) as driver_1_contribution,
            max(case when driver_rank = 2 then driver_name end) as driver_2_name,
            max(case when driver_rank = 2 then driver_value end) as driver_2_value,
            max(case when driver_rank = 2 then contribution end) as driver_2_contribution,
            max(case when driver_rank = 3 then driver_name end) as driver_3_name,
            max(case when driver_rank = 3 then driver_value end) as driver_3_value,
            max(case when driver_rank = 3 then contribution end) as driver_3_contribution,
            max(driver_base) as driver_base
        from drivers
        group by customer_id, as_of_date, model_version, build_hash
    )

select
    wide_drivers.*,
    cast(
        case
            when driver_1_name is not null
            then
                {{ driver_text(1) }}
                || coalesce('; ' || {{ driver_text(2) }}, '')
                || coalesce('; ' || {{ driver_text(3) }}, '')
        end as string
    ) as clv_top_features
from wide_drivers
