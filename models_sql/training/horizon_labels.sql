-- Grain: customer_id x as_of_date x horizon_days, for grid dates whose label for that many days is
-- final: what the customer spent within them.
{{ config(materialized="view") }}

with
    today as (select * from {{ ref("int_today") }}),

    grid as (select * from {{ ref("as_of_dates") }} where is_grid),

    horizons as (
        {% for days in all_horizons() -%}
            select
                as_of_date,
                cast({{ days }} as int) as horizon_days,
                {{ horizon_ends_at("as_of_date", days) }} as horizon_ends_at,
                {{ label_known_at("as_of_date", days) }} as label_known_at
            from grid {{ "union all" if not loop.last }}
        {% endfor %}
    ),

    dates as (
        select horizons.* from horizons inner join today on horizons.label_known_at <= today.as_of_date
    ),

    spine as (select * from {{ ref("int_spine") }}),

    orders as (select * from {{ ref("int_orders") }}),

    refunds as (select * from {{ ref("int_refunds") }}),

    {{ label_parts(["as_of_date", "horizon_days"]) }}

select
    spine.customer_id,
    dates.as_of_date,
    dates.horizon_days,
    cast(coalesce(bought.revenue, 0) + coalesce(gave_back.revenue, 0) as decimal(18, 2)) as label_revenue,
    cast(coalesce(bought.purchases, 0) as int) as label_purchases
from dates
inner join spine on spine.as_of_date = dates.as_of_date
left join
    bought
    on bought.customer_id = spine.customer_id
    and bought.as_of_date = dates.as_of_date
    and bought.horizon_days = dates.horizon_days
left join
    gave_back
    on gave_back.customer_id = spine.customer_id
    and gave_back.as_of_date = dates.as_of_date
    and gave_back.horizon_days = dates.horizon_days
