-- Grain: customer_id: what of the estimate is expected within each day count of the setting horizons. The
-- shares are those of the formulas, by days for who has not bought; nobody's value falls from a horizon to a
-- longer one.
with
    estimates as (select * from {{ ref("customer_estimates") }}),

    shares as (select * from {{ ref("horizon_shares") }} where {{ on_scoring_date("as_of_date") }}),

    told as (
        select
            estimates.customer_id
            {%- for name, column in horizon_columns().items() %}
                ,
                max(
                    case when shares.horizon_days = {{ column.days }} then shares.expected_share end
                ) as {{ name }}
            {%- endfor %}
        from estimates
        inner join
            shares on shares.customer_id = estimates.customer_id and shares.as_of_date = estimates.as_of_date
        group by estimates.customer_id
    )

select
    estimates.customer_id
    {%- for name, column in horizon_columns().items() %}
        ,
        {{ money(
            "greatest(0, estimates.clv_estimate) * coalesce(told." ~ name ~ ", " ~ days_share(column.days) ~ ")"
        ) }}
        as {{ name }}
    {%- endfor %}
from estimates
left join told on told.customer_id = estimates.customer_id
